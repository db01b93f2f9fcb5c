"""Message framing of RFC 6242: end-of-message for base 1.0, chunks for base 1.1.

Both decoders take bytes as they come and give whole messages. A lie in the framing raises FramingError, after which
the session must be closed (RFC 6242 §4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

END_OF_MESSAGE = b"]]>]]>"
MAX_CHUNK_HEADER = 13  # LF HASH, at most ten digits (RFC 6242 §4.2: up to 4294967295), LF


class FramingError(Exception):
    """The peer broke the framing, or sent more than the limit."""


class Decoder(Protocol):
    """Bytes in, whole messages out."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def rest(self) -> bytes:
        """Bytes received after the last whole message; used once, when 1.0 gives way to 1.1 after <hello>."""
        ...


class EndOfMessageDecoder:
    """Base 1.0: messages end with ]]>]]>."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while (end := self._buffer.find(END_OF_MESSAGE, max(0, self._scanned - len(END_OF_MESSAGE)))) >= 0:
            message = bytes(self._buffer[:end])
            del self._buffer[: end + len(END_OF_MESSAGE)]
            self._scanned = 0
            yield message
        self._scanned = len(self._buffer)
        if self._scanned > self._limit_bytes:
            raise FramingError(f"message exceeds {self._limit_bytes} bytes")

    def rest(self) -> bytes:
        return bytes(self._buffer)


class ChunkDecoder:
    """Base 1.1: chunks of a stated size, ended by LF ## LF."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._message = bytearray()
        self._missing = 0
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while self._buffer:
            if self._missing:
                part = self._buffer[: self._missing]
                self._message += part
                self._missing -= len(part)
                del self._buffer[: len(part)]
                continue
            header = self._take_header()
            if header is None:
                return
            if header == b"#":
                if not self._begun:
                    raise FramingError("end of chunks without a chunk")
                message, self._message, self._begun = bytes(self._message), bytearray(), False
                yield message
            else:
                self._begin_chunk(header)

    def rest(self) -> bytes:
        return bytes(self._buffer)

    def _take_header(self) -> bytes | None:
        """Text between LF HASH and LF, or None while it is incomplete."""
        if not b"\n#".startswith(bytes(self._buffer[:2])):
            raise FramingError("chunk does not start with LF HASH")
        end = self._buffer.find(b"\n", 2)
        if end < 0:
            if len(self._buffer) > MAX_CHUNK_HEADER:
                raise FramingError("chunk header is too long")
            return None
        header = bytes(self._buffer[2:end])
        del self._buffer[: end + 1]
        return header

    def _begin_chunk(self, header: bytes) -> None:
        # RFC 6242 §4.2: chunk-size = initial-digit1 0*DIGIT1, no leading zero, at most 4294967295
        if not header.isdigit() or header.startswith(b"0") or len(header) > 10 or int(header) > 0xFFFF_FFFF:
            raise FramingError(f"{header[:16]!r} is no chunk size")
        self._missing = int(header)
        self._begun = True
        if len(self._message) + self._missing > self._limit_bytes:
            raise FramingError(f"message exceeds {self._limit_bytes} bytes")


def frame_end_of_message(message: bytes) -> bytes:
    """`message` as base 1.0 sends it."""
    return message + END_OF_MESSAGE


def frame_chunked(message: bytes) -> bytes:
    """`message` as base 1.1 sends it, in one chunk."""
    return b"\n#%d\n%b\n##\n" % (len(message), message)
