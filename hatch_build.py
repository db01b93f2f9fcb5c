"""Build hook: the gRPC stubs are generated from proto/ and never committed."""

import shutil
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


def _folder_of(module: str) -> Path:
    spec = util.find_spec(module)
    if spec is None or spec.origin is None:
        sys.exit(f"{module} is missing: pip install grpcio-tools googleapis-common-protos")
    return Path(spec.origin).parent


def generate(root: Path = ROOT) -> None:
    """Write *_pb2.py, *_pb2_grpc.py and their type stubs beside the .proto files."""
    from grpc_tools import protoc

    protos = sorted(str(path.relative_to(root / "proto")) for path in (root / "proto" / "geysers").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as include:
        # googleapis-common-protos ships this file under another name than the one it registers.
        target = Path(include, "google", "longrunning")
        target.mkdir(parents=True)
        common = _folder_of("google.longrunning.operations_pb2")
        shutil.copyfile(common / "operations_proto.proto", target / "operations.proto")
        builtin = _folder_of("grpc_tools.protoc") / "_proto"
        out = str(root / "proto")
        status = protoc.main(
            [
                "protoc",
                f"-I{out}",
                f"-I{include}",
                f"-I{common.parents[1]}",
                f"-I{builtin}",
                f"--python_out={out}",
                f"--grpc_python_out={out}",
                f"--mypy_out=quiet:{out}",
                f"--mypy_grpc_out=quiet:{out}",
                *protos,
            ]
        )
    if status != 0:
        sys.exit(f"protoc ended with {status}")


class StubHook(BuildHookInterface):  # type: ignore[type-arg]
    """Generates the stubs before a wheel or an editable install is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate(Path(self.root))
        build_data["artifacts"].extend(["proto/geysers/**/*_pb2*.py", "proto/geysers/**/*_pb2*.pyi"])


if __name__ == "__main__":
    generate()
