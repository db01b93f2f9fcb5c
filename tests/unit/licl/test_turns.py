"""One at a time per key, others side by side, and no lock left once nobody wants it."""

import asyncio

import pytest

from controller.licl.turns import Turns


async def test_one_at_a_time_per_key_and_keys_side_by_side() -> None:
    turns: Turns[str] = Turns()
    entered: list[str] = []
    gate = asyncio.Event()

    async def stay(key: str, name: str) -> None:
        async with turns.at(key):
            entered.append(name)
            await gate.wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for key, name in (("a", "a1"), ("a", "a2"), ("b", "b1")):
            group.create_task(stay(key, name))
        while len(entered) < 2:  # noqa: ASYNC110 - waits for tasks that give no event
            await asyncio.sleep(0)
        assert entered == ["a1", "b1"]
        gate.set()
    assert entered == ["a1", "b1", "a2"]


async def test_a_lock_stays_while_it_is_wanted_and_no_longer() -> None:
    turns: Turns[str] = Turns()
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        async with turns.at("a"):
            pytest.fail("the turn is another's")

    async with turns.at("a"):
        waiter = asyncio.create_task(wait())
        await waiting.wait()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        # The one who gave up took nothing away from the one who has it.
        assert "a" in turns
    assert "a" not in turns
    with pytest.raises(ValueError, match="oops"):
        async with turns.at("a"):
            raise ValueError("oops")
    assert "a" not in turns
