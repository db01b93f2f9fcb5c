"""Slots and maps of ITU-T G.694.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import spectrum
from controller.domain.errors import InvalidRequest
from controller.domain.spectrum import FrequencySlot


@st.composite
def slots(draw: st.DrawFn) -> FrequencySlot:
    m = draw(st.integers(1, 48))
    first = draw(st.integers(0, spectrum.GRANULES - 2 * m))
    return FrequencySlot.from_granules(first, first + 2 * m)


def test_openroadm_sample_name() -> None:
    # OpenROADM numbers granules from 1 at 191.325 THz: 713:720 is 195.775-195.825 THz.
    slot = FrequencySlot.from_openroadm_name("713:720")
    assert (slot.lower_hz, slot.center_hz, slot.upper_hz) == (
        195_775_000_000_000,
        195_800_000_000_000,
        195_825_000_000_000,
    )
    assert slot.openroadm_name == "713:720"


def test_anchor_is_193_1_thz() -> None:
    assert FrequencySlot(n=0, m=4).center_hz == 193_100_000_000_000


@given(slots())
def test_edges_round_trip(slot: FrequencySlot) -> None:
    assert FrequencySlot.from_edges_hz(slot.lower_hz, slot.upper_hz) == slot
    assert FrequencySlot.from_openroadm_name(slot.openroadm_name) == slot


@given(slots(), slots())
def test_overlap_is_a_shared_granule(a: FrequencySlot, b: FrequencySlot) -> None:
    shared = set(a.granules) & set(b.granules)
    assert a.overlaps(b) == bool(shared)
    assert a.contains(b) == (set(b.granules) <= set(a.granules))


@given(slots(), st.lists(slots(), max_size=6))
def test_map_agrees_with_sets(slot: FrequencySlot, used: list[FrequencySlot]) -> None:
    words = spectrum.with_slots(spectrum.EMPTY, used)
    taken = {granule for other in used for granule in other.granules}
    assert spectrum.is_free(words, slot) == taken.isdisjoint(slot.granules)
    assert all(0 <= word < 2**64 for word in words)
    assert len(words) == spectrum.WORDS


@pytest.mark.parametrize(("n", "m", "field"), [(0, 0, "m"), (484, 4, "n"), (-284, 1, "n")])
def test_slot_outside_the_band_names_the_field(n: int, m: int, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        FrequencySlot(n=n, m=m)
    assert caught.value.fields["field"] == field


def test_edge_off_the_grid_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="off the"):
        FrequencySlot.from_edges_hz(193.101e12, 193.15e12)
