"""The `geysers` command in the test's own process: what a shell would see of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from controller.cli.main import run


@dataclass(frozen=True)
class Outcome:
    """Exit status and what was written."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    def refused(self, code: int, *fragments: str) -> None:
        """Check a failure: its status, one message with these fragments, no traceback, nothing else."""
        assert self.code == code, self
        assert "Traceback" not in self.err
        assert sum(line.lower().startswith("error: ") for line in self.err.splitlines()) == 1, self.err
        for fragment in fragments:
            assert fragment in self.err, self.err


def geysers(*arguments: str, stdin: str = "") -> Outcome:
    """Run `geysers ARGUMENTS` at 80 columns."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "80")
        patch.setattr(sys, "argv", ["geysers", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            run()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())


def subprocess_geysers(*arguments: str) -> Outcome:
    """The command as a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "controller", *arguments], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    return Outcome(ended.returncode, ended.stdout, ended.stderr)
