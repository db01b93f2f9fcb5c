"""Ports of emulated devices: what cannot be is said before anything listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.app import PortBook
from emulator.plant import InvalidNetworkError


def test_free_ports_are_taken_again_and_a_base_counts_up(tmp_path: Path) -> None:
    file = tmp_path / "netconf_ports.json"
    book = PortBook(file, 0, 2)
    assert book.wanted("a") == 0
    book.taken("a", 40001)
    book.save()
    assert [PortBook(file, 0, 2).wanted(name) for name in ("a", "b")] == [40001, 0]
    based = PortBook(file, 65534, 2)
    assert [based.wanted(name) for name in ("a", "b")] == [65534, 65535]


@pytest.mark.parametrize("base_port", [70000, 65535, -1])
def test_a_base_port_that_leaves_no_room_is_refused(tmp_path: Path, base_port: int) -> None:
    with pytest.raises(InvalidNetworkError, match="use at most 65534"):
        PortBook(tmp_path / "netconf_ports.json", base_port, 2)


@pytest.mark.parametrize("text", ["[1", "", "[]", '{"a": "x"}', '{"a": 70000}', '{"a": true}', "[" * 100_000, "\0"])
def test_a_torn_record_of_ports_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "netconf_ports.json"
    file.write_text(text)
    with pytest.raises(InvalidNetworkError, match=r"netconf_ports\.json: .*remove it"):
        PortBook(file, 0, 2)
