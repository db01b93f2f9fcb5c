"""Lint the .proto files with buf, beside the googleapis file that it cannot find by itself."""

import shutil
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIG = """\
version: v2
modules:
  - path: ours
  - path: theirs
lint:
  use: [STANDARD, COMMENTS]
  ignore: [theirs]
  except:
    # Long-running methods return google.longrunning.Operation (AIP-151, ADR 5).
    - RPC_RESPONSE_STANDARD_NAME
    - RPC_REQUEST_RESPONSE_UNIQUE
"""


def main() -> int:
    """Exit status of `buf lint` over proto/geysers."""
    spec = util.find_spec("google.longrunning.operations_pb2")
    if spec is None or spec.origin is None:
        return 1
    google = Path(spec.origin).parents[1]
    with tempfile.TemporaryDirectory() as workspace:
        base = Path(workspace)
        base.joinpath("buf.yaml").write_text(CONFIG)
        shutil.copytree(ROOT / "proto" / "geysers", base / "ours" / "geysers", ignore=shutil.ignore_patterns("*_pb2*"))
        for folder in ("api", "rpc"):
            shutil.copytree(
                google / folder, base / "theirs" / "google" / folder, ignore=shutil.ignore_patterns("*.py*")
            )
        target = base / "theirs" / "google" / "longrunning"
        target.mkdir(parents=True)
        shutil.copyfile(google / "longrunning" / "operations_proto.proto", target / "operations.proto")
        return subprocess.run(["buf", "lint", "ours"], cwd=base, check=False).returncode  # noqa: S607


if __name__ == "__main__":
    sys.exit(main())
