"""First fit against a search granule by granule."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.spectrum import GRANULES, WORDS, FrequencySlot, is_free, to_words, with_slots
from pce.core.spectrum import BLOCKED, TOO_NOISY, first_fit

slots = st.builds(
    lambda first, m: FrequencySlot.from_granules(first, first + 2 * m),
    st.integers(0, GRANULES - 80),
    st.integers(1, 40),
)
patterns = st.one_of(
    st.lists(slots, max_size=25).map(lambda used: with_slots((0,) * WORDS, used)),
    st.integers(0, 2**GRANULES - 1).map(to_words),
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(patterns, min_size=1, max_size=4),
    st.integers(1, 20),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_lowest_free_quiet_slot(
    used: list[tuple[int, ...]], m: int, limit: float, seed: int, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(used) - 1), min_size=1, max_size=6))
    noise = np.random.default_rng(seed).random(GRANULES + 1)
    expected = BLOCKED
    for first in range(GRANULES - 2 * m + 1):
        slot = FrequencySlot.from_granules(first, first + 2 * m)
        if all(is_free(used[row], slot) for row in rows):
            if noise[first + m] <= limit:
                expected = first
                break
            expected = TOO_NOISY
    assert first_fit(np.array(used, np.uint64), np.array(rows, np.int32), m, noise, limit) == expected


def test_a_slot_wider_than_the_band_is_blocked() -> None:
    empty, noise = np.zeros((1, WORDS), np.uint64), np.zeros(GRANULES + 1)
    row = np.zeros(1, np.int32)
    assert first_fit(empty, row, GRANULES // 2, noise, np.inf) == 0
    assert first_fit(empty, row, GRANULES // 2 + 1, noise, np.inf) == BLOCKED


def test_the_centre_is_where_the_noise_is_read() -> None:
    """Granules 0 to 7 are centred on the lower edge of granule 4."""
    empty, noise = np.zeros((1, WORDS), np.uint64), np.ones(GRANULES + 1)
    noise[4] = 0.0
    assert first_fit(empty, np.zeros(1, np.int32), 4, noise, 0.5) == 0
    slot = FrequencySlot.from_granules(0, 8)
    assert slot.center_hz == 191_325_000_000_000 + 4 * 6_250_000_000
