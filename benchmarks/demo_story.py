"""How long the demo's story takes and what it needs, warm and with nothing compiled yet.

    python benchmarks/demo_story.py [--runs 3]

Each run is `geysers demo --once` in a directory of its own: every party started as a process, the eight steps
told, everything stopped. `story_seconds` and `peak_memory_mb` are what the demo itself reports: from the
first process to the last proof, and the sum of every process's own peak. `whole_seconds` is the command from start to
exit. The cold run has an empty kernel cache, as on a machine that never ran us.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 300.0


def tell(cache: Path | None = None) -> dict[str, Any]:
    """One demo; `cache` in place of the user's cache directory. Raises when the story does not end well."""
    environment = os.environ | ({} if cache is None else {"XDG_CACHE_HOME": str(cache)})
    with tempfile.TemporaryDirectory() as state_dir:
        command = [sys.executable, "-m", "controller", "demo", "--once", "-o", "json", "--state-dir", state_dir]
        began_s = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
        whole_s = time.perf_counter() - began_s
    if done.returncode != 0:
        sys.exit(f"the demo ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    story = json.loads(done.stdout)
    return {
        "story_seconds": story["seconds"],
        "whole_seconds": round(whole_s, 2),
        "peak_memory_mb": story["peak_memory_mb"],
        "step_seconds": {step["title"]: step["seconds"] for step in story["steps"]},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Least, middle and greatest."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="warm runs (default 3)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as cache:
        cold = tell(Path(cache))
    # The user's own cache may be empty too: this run fills it and is not counted.
    tell()
    warm = [tell() for _ in range(runs)]
    document = {
        "benchmark": "demo_story",
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "runs": runs,
        "warm": {name: spread([run[name] for run in warm]) for name in ("story_seconds", "whole_seconds")}
        | {"peak_memory_mb": spread([run["peak_memory_mb"] for run in warm])}
        | {
            "step_seconds": {name: spread([run["step_seconds"][name] for run in warm]) for name in cold["step_seconds"]}
        },
        "cold": cold,
        "cold_to_warm": round(cold["story_seconds"] / statistics.median(run["story_seconds"] for run in warm), 2),
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
