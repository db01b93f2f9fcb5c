"""Framing: whatever the cuts, the same messages come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.netconf.framing import (
    ChunkDecoder,
    EndOfMessageDecoder,
    FramingError,
    frame_chunked,
    frame_end_of_message,
)

LIMIT = 10_000
messages = st.lists(
    st.binary(min_size=1, max_size=60).filter(lambda data: b"]]>" not in data and not data.endswith((b"]", b"]]"))),
    max_size=5,
)
cuts = st.lists(st.integers(1, 20), min_size=1, max_size=40)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    parts, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        parts.append(data[position : position + size])
        position, turn = position + size, turn + 1
    return parts


@pytest.mark.parametrize(
    ("decoder", "frame"), [(EndOfMessageDecoder, frame_end_of_message), (ChunkDecoder, frame_chunked)]
)
@given(sent=messages, sizes=cuts)
def test_messages_survive_any_cut(decoder, frame, sent: list[bytes], sizes: list[int]) -> None:
    receiving = decoder(LIMIT)
    received = [m for part in pieces(b"".join(map(frame, sent)), sizes) for m in receiving.feed(part)]
    assert received == sent


@pytest.mark.parametrize("decoder", [EndOfMessageDecoder, ChunkDecoder])
@given(data=st.binary(max_size=300))
def test_any_bytes_give_messages_or_a_framing_error(decoder, data: bytes) -> None:
    try:
        for message in decoder(100).feed(data):
            assert len(message) <= 300
    except FramingError:
        pass


@pytest.mark.parametrize(("decoder", "data"), [(EndOfMessageDecoder, b"x" * 101), (ChunkDecoder, b"\n#101\n")])
def test_limit_holds_before_the_message_is_whole(decoder, data: bytes) -> None:
    with pytest.raises(FramingError, match="exceeds 100 bytes"):
        list(decoder(100).feed(data))
