"""Path computation as a port: in this process's kernel pool, or a PCE server elsewhere."""

from typing import Protocol

from pce.request import PathAnswer, PathRequest
from pce.ted_snapshot import TedSnapshot


class PathComputer(Protocol):
    """Raises NotFound, InvalidRequest, NoPath, SpectrumBlocked, GsnrBelowMargin, ResourceExhausted."""

    async def compute(self, snapshot: TedSnapshot, request: PathRequest) -> PathAnswer:
        """The best answer on `snapshot`, with what else was weighed."""
        ...
