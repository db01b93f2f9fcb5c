"""What may be asked of devices inside one reservation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain.errors import GeysersError, InvalidRequest, NotFound
from controller.domain.media import CrossConnect, LineSetting, SliceConfiguration
from controller.domain.offers import TransponderOffer
from controller.domain.qot import OperationalMode
from controller.domain.reservation import LinkPart, NodePart, Reservation
from controller.domain.spectrum import FrequencySlot
from controller.pip.admission import check_slice
from controller.pip.records import HeldReservation, held_reservation, parts_to_json, slice_from_json, slice_to_json

MODE = OperationalMode("400G", 400.0, 63.1, 75.0, 24.0, 36.0, 22.0)
PATCHED = TransponderOffer("X", "NET1", "CLIENT1", "SRG1-PP1", (MODE,), available=False)
HELD = HeldReservation(
    "0123456789abcdef",
    "geysers://demo/vip/alpha",
    Reservation(
        "gri:1",
        (NodePart("r", "pips/p/nodes/R", ("DEG1", "DEG2", "DEG3"), 1, (PATCHED,)),),
        (
            LinkPart("1", "pips/p/links/R.DEG1", FrequencySlot(0, 20)),
            LinkPart("2", "pips/p/links/R.DEG2", FrequencySlot(0, 20)),
            LinkPart("2b", "pips/p/links/R.DEG2", FrequencySlot(40, 20)),
        ),
        name="pips/p/reservations/0123456789abcdef",
    ),
    {"pips/p/links/R.DEG1": ("R", "DEG1"), "pips/p/links/R.DEG2": ("R", "DEG2")},
    {"pips/p/links/R.DEG1": ("S", ""), "pips/p/links/R.DEG2": ("S", "")},
    {"R": "AMS"},
)
THROUGH = CrossConnect("x", "DEG1", "DEG2", FrequencySlot(13, 7), 63.1)
ADD = CrossConnect("a", "SRG1-PP1", "DEG1", FrequencySlot(-13, 7), 63.1)
LINE = LineSetting("NET1", FrequencySlot(-13, 7), "400G", 0.0)


def crosses(*entries: CrossConnect) -> SliceConfiguration:
    return SliceConfiguration(frozenset(entries))


def test_both_directions_of_express_add_and_drop_are_allowed() -> None:
    both = [
        replace(cross, cross_connect_id=f"{cross.cross_connect_id}-back", source_port=cross.destination_port,
                destination_port=cross.source_port)
        for cross in (THROUGH, ADD)
    ]  # fmt: skip
    check_slice(HELD, "R", crosses(THROUGH, ADD, *both))
    check_slice(HELD, "X", SliceConfiguration(line_settings=frozenset({LINE})))


@pytest.mark.parametrize("power_dbm", [-30.0, 10.0])
def test_launch_power_may_reach_its_limits(power_dbm: float) -> None:
    setting = replace(LINE, transmit_power_dbm=power_dbm)
    check_slice(HELD, "X", SliceConfiguration(line_settings=frozenset({setting})))


@pytest.mark.parametrize(
    ("device", "desired", "kind", "what"),
    [
        ("Q", SliceConfiguration(), NotFound, "device 'Q'"),
        ("R", crosses(replace(THROUGH, destination_port="DEG4")), NotFound, "DEG4"),
        ("R", crosses(replace(THROUGH, destination_port="DEG3")), NotFound, "slot .* 'DEG3'"),
        ("R", crosses(replace(ADD, source_port="SRG1-PP2")), NotFound, "SRG1-PP2"),
        ("R", crosses(replace(THROUGH, slot=FrequencySlot(14, 7))), NotFound, "slot n=14"),
        ("R", crosses(replace(THROUGH, slot=FrequencySlot(40, 7))), NotFound, "'DEG1'"),
        ("R", crosses(replace(THROUGH, destination_port="DEG1")), InvalidRequest, "itself"),
        ("R", crosses(replace(ADD, destination_port="SRG1-PP1")), InvalidRequest, "itself"),
        ("R", crosses(replace(THROUGH, cross_connect_id="x" * 29)), InvalidRequest, "28"),
        ("R", crosses(replace(THROUGH, cross_connect_id="")), InvalidRequest, "28"),
        ("R", crosses(replace(THROUGH, cross_connect_id="a\nb")), InvalidRequest, "printable"),
        ("R", crosses(replace(THROUGH, signal_width_ghz=88.0)), InvalidRequest, "87.5"),
        ("R", crosses(replace(THROUGH, signal_width_ghz=float("nan"))), InvalidRequest, "nan"),
        ("R", crosses(THROUGH, replace(ADD, cross_connect_id="x")), InvalidRequest, "unique"),
        ("R", crosses(THROUGH, replace(THROUGH, cross_connect_id="y")), InvalidRequest, "twice"),
        (
            "R",
            crosses(THROUGH, replace(THROUGH, cross_connect_id="y", slot=FrequencySlot(12, 7))),
            InvalidRequest,
            "fit",
        ),
        ("R", SliceConfiguration(line_settings=frozenset({LINE})), NotFound, "NET1"),
        ("X", crosses(THROUGH), NotFound, "DEG1"),
        ("X", SliceConfiguration(line_settings=frozenset({replace(LINE, network_port="NET2")})), NotFound, "NET2"),
        ("X", SliceConfiguration(line_settings=frozenset({replace(LINE, mode_id="1T")})), InvalidRequest, "400G"),
        *(
            (
                "X",
                SliceConfiguration(line_settings=frozenset({replace(LINE, transmit_power_dbm=power_dbm)})),
                InvalidRequest,
                "transmit_power_dbm .* NET1: use -30 to 10 dBm",
            )
            for power_dbm in (90000.0, 10.01, -30.01, float("nan"), float("inf"))
        ),
        (
            "X",
            SliceConfiguration(line_settings=frozenset({LINE, replace(LINE, slot=FrequencySlot(9, 7))})),
            InvalidRequest,
            "one",
        ),
    ],
)
def test_what_leaves_the_reservation_or_contradicts_itself_is_refused(
    device: str, desired: SliceConfiguration, kind: type[GeysersError], what: str
) -> None:
    with pytest.raises(kind, match=what):
        check_slice(HELD, device, desired)


def test_light_is_received_from_an_own_node_only_in_the_band_of_the_reverse_link() -> None:
    out = "pips/p/links/R.DEG1"
    own = replace(HELD, tails={**HELD.tails, out: ("Q", "DEG7")})
    drop = replace(ADD, source_port="DEG1", destination_port="SRG1-PP1")
    check_slice(own, "R", crosses(ADD))
    for cross in (drop, THROUGH):
        with pytest.raises(NotFound, match=r"slot .* 'DEG1'"):
            check_slice(own, "R", crosses(cross))
    back = "pips/p/links/Q.DEG7"
    parts = (*HELD.reservation.link_parts, LinkPart("back", back, FrequencySlot(0, 20)))
    both = replace(
        own,
        reservation=replace(HELD.reservation, link_parts=parts),
        heads={**own.heads, back: ("Q", "DEG7")},
        tails={**own.tails, back: ("R", "DEG1")},
    )
    check_slice(both, "R", crosses(drop, THROUGH))
    only_back = replace(
        both, reservation=replace(HELD.reservation, link_parts=(LinkPart("back", back, FrequencySlot(0, 20)),))
    )
    check_slice(only_back, "R", crosses(drop))
    with pytest.raises(NotFound, match=r"slot .* 'DEG1'"):
        check_slice(only_back, "R", crosses(ADD))


def test_two_bands_of_one_port_are_two_bands() -> None:
    wide = replace(THROUGH, source_port="SRG1-PP1", slot=FrequencySlot(20, 7))
    with pytest.raises(NotFound):
        check_slice(HELD, "R", crosses(wide))
    check_slice(HELD, "R", crosses(replace(wide, slot=FrequencySlot(40, 7))))


def test_records_read_back_as_they_were_written() -> None:
    parts = parts_to_json(HELD.reservation, HELD.heads, HELD.tails, HELD.cllis)
    row = {
        "reservation_id": HELD.reservation_id, "owner": HELD.owner_uri, "gri": "gri:1", "state": "HELD",
        "hold_expire_time": None, "parts": parts,
    }  # fmt: skip
    assert held_reservation(row, HELD.reservation.name) == HELD
    desired = SliceConfiguration(frozenset({THROUGH, ADD}), frozenset({LINE}))
    assert slice_from_json(slice_to_json(desired)) == desired
