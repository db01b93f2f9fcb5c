"""Many runs side by side: one task per record and seed, on the cores of this machine or on a Dask cluster."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from controller.domain.errors import DeviceUnreachable, InvalidRequest
from pce.simulation.simulator import Setting, Tally, run, warm_up

_CONNECT_TIMEOUT_S = 10
Finished = Callable[[int, list[Tally]], None]


@dataclass(frozen=True, slots=True)
class Workers:
    """Where the runs go: `count` processes of this machine (0: one per core), or the Dask scheduler at `dask`."""

    count: int = 0
    dask: str | None = None

    @property
    def processes(self) -> int:
        """Processes on this machine."""
        return self.count or len(os.sched_getaffinity(0))


def sweep(
    settings: Sequence[Setting], workers: Workers, stopwatch: Callable[[], float], finished: Finished
) -> list[list[Tally]]:
    """Run every seed of every setting; tallies per setting, in the order of its seeds.

    `finished` hears of each setting when its last seed is done. The result does not depend on the number of workers.
    Raises: InvalidRequest, DeviceUnreachable.
    """
    tallies: list[dict[int, Tally]] = [{} for _ in settings]

    def note(number: int, tally: Tally) -> None:
        tallies[number][tally.seed] = tally
        if len(tallies[number]) == len(settings[number].scenario.seeds):
            finished(number, in_order(number))

    def in_order(number: int) -> list[Tally]:
        return [tallies[number][seed] for seed in settings[number].scenario.seeds]

    tasks = [(number, seed) for number, setting in enumerate(settings) for seed in setting.scenario.seeds]
    if workers.dask is None and min(workers.processes, len(tasks)) == 1:
        for number, seed in tasks:
            note(number, run(settings[number], seed, stopwatch))
    else:
        with _executor(workers, len(tasks)) as executor:
            running: dict[Future[Tally], int] = {
                executor.submit(run, settings[number], seed, stopwatch): number for number, seed in tasks
            }
            for future in as_completed(running):
                note(running[future], future.result())
    return [in_order(number) for number in range(len(settings))]


@contextmanager
def _executor(workers: Workers, tasks: int) -> Iterator[Executor]:
    if workers.dask is not None:
        with _dask_client(workers.dask) as client:
            yield client.get_executor()
        return
    # Forked workers inherit the compiled kernel; with other threads alive a fork could inherit a held lock.
    method = "fork" if threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    if method == "fork":
        warm_up()
    pool = ProcessPoolExecutor(min(workers.processes, tasks), mp_context=multiprocessing.get_context(method))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _dask_client(address: str) -> Iterator[Any]:
    try:
        # An extra, without types.
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise InvalidRequest(
            f"--dask {address}: distributed is not installed; pip install 'geysers[scale]', or leave --dask out to use "
            "the cores of this machine",
            field="dask",
            value=address,
        ) from error
    try:
        client = distributed.Client(address, timeout=_CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise DeviceUnreachable(
            f"--dask {address}: {error}; give the address of a running Dask scheduler, e.g. tcp://127.0.0.1:8786",
            field="dask",
            value=address,
        ) from error
    with client:
        yield client
