"""Provisioning kernels against plain Python: bits as sets, departures in a heap, 64-bit sums by hand."""

import heapq
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pce.core.provisioning import simulate_first_fit
from pce.core.random_numbers import below, exponential, next_word, seeded
from pce.core.words import leading_zeros, lowest_run, mark, starts_of_runs, trailing_zeros

WORD = (1 << 64) - 1


class Generator:
    """xoshiro256++ from its published definition, in whole numbers without bound."""

    def __init__(self, seed: int) -> None:
        self.state = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & WORD
            mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & WORD
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
            self.state.append(mixed ^ (mixed >> 31))

    def word(self) -> int:
        def turned(word: int, by: int) -> int:
            return ((word << by) | (word >> (64 - by))) & WORD

        s = self.state
        drawn = (turned((s[0] + s[3]) & WORD, 23) + s[0]) & WORD
        t = (s[1] << 17) & WORD
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = turned(s[3], 45)
        return drawn

    def exponential(self) -> float:
        return -math.log(1.0 - (self.word() >> 11) / 2**53)

    def below(self, count: int) -> int:
        return ((self.word() >> 32) * count) >> 32


@given(st.integers(0, WORD), st.integers(1, 2**32 - 1))
def test_the_stream_is_xoshiro256_plus_plus_seeded_by_splitmix64(seed: int, count: int) -> None:
    theirs = Generator(seed)
    with np.errstate(over="ignore"):
        state = seeded(np.uint64(seed))
        assert [int(next_word(state)) for _ in range(20)] == [theirs.word() for _ in range(20)]
        assert exponential(state) == theirs.exponential()
        assert int(below(state, np.uint64(count))) == theirs.below(count)


def test_splitmix64_and_xoshiro_start_as_published() -> None:
    """First splitmix64 outputs from seed 0, from the generator's published test values."""
    with np.errstate(over="ignore"):
        state = seeded(np.uint64(0))
    assert [hex(int(word)) for word in state[:2]] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


@given(st.integers(1, WORD))
def test_zeros_at_either_end_of_a_word(word: int) -> None:
    text = f"{word:064b}"
    assert int(leading_zeros(np.uint64(word))) == len(text) - len(text.lstrip("0"))
    assert int(trailing_zeros(np.uint64(word))) == len(text) - len(text.rstrip("0"))


words = st.one_of(
    st.sampled_from([0, WORD, WORD >> 1, WORD << 1 & WORD, 1, 1 << 63]),
    st.integers(0, WORD),
    st.builds(lambda a, b: (WORD << a & WORD) & (WORD >> b), st.integers(0, 63), st.integers(0, 63)),
)


@given(words, st.integers(1, 70))
def test_starts_of_runs_inside_a_word(word: int, length: int) -> None:
    expected = {s for s in range(64) if s + length <= 64 and all(word >> (s + i) & 1 for i in range(length))}
    found = int(starts_of_runs(np.uint64(word), np.uint64(length)))
    assert {s for s in range(64) if found >> s & 1} == expected


@given(st.integers(1, 4).flatmap(lambda w: st.lists(st.lists(words, min_size=w, max_size=w), min_size=1, max_size=4)),
       st.integers(1, 200))  # fmt: skip
def test_lowest_run_common_to_all_links(rows: list[list[int]], length: int) -> None:
    width = len(rows[0])
    free = np.array(rows, np.uint64).ravel()
    offsets = np.arange(len(rows), dtype=np.uint32) * np.uint32(width)
    common = [all(row[s // 64] >> (s % 64) & 1 for row in rows) for s in range(64 * width)]
    expected = next((s for s in range(64 * width - length + 1) if all(common[s : s + length])), -1)
    found = lowest_run(free, offsets, np.uint32(0), np.uint32(len(rows)), np.uint64(width), np.uint64(length))
    assert int(found) == expected


@given(st.data())
def test_marking_touches_the_slots_of_the_path_and_no_other(data: st.DataObject) -> None:
    links, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    taken = data.draw(st.lists(st.integers(0, links - 1), min_size=1, unique=True))
    start = data.draw(st.integers(0, 64 * width - 1))
    length = data.draw(st.integers(1, 64 * width - start))
    is_free = data.draw(st.booleans())
    free = np.full(links * width, 0 if is_free else WORD, np.uint64)
    offsets = (np.array(taken) * width).astype(np.uint32)
    mark(free, offsets, np.uint32(0), np.uint32(len(taken)), np.uint64(start), np.uint64(length), is_free)
    for link in range(links):
        for slot in range(64 * width):
            inside = link in taken and start <= slot < start + length
            bit = bool(int(free[link * width + slot // 64]) >> (slot % 64) & 1)
            assert bit == (inside if is_free else not inside)


@st.composite
def studies(draw: st.DrawFn) -> dict[str, object]:
    links = draw(st.integers(1, 5))
    slots = draw(st.sampled_from([1, 3, 10, 63, 64, 65, 130]))
    path = st.lists(st.integers(0, links - 1), min_size=1, max_size=links, unique=True)
    kinds = draw(st.integers(1, 3))
    classes = draw(st.integers(1, 4))
    return {
        "links": links,
        "slots": slots,
        "demands": draw(
            st.lists(
                st.lists(st.tuples(path, st.integers(0, kinds - 1)), max_size=3), min_size=1, max_size=5
            )
        ),
        "width": [[draw(st.integers(1, 12)) for _ in range(classes)] for _ in range(kinds)],
        "amount": [float(draw(st.integers(1, 100))) for _ in range(classes)],
        "load": draw(st.sampled_from([0.2, 3.0, 20.0, 150.0])),
        "truncated": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "segments": draw(st.lists(st.integers(0, 120), min_size=1, max_size=4)),
    }  # fmt: skip


def naive(study: dict) -> tuple[list[int], list[float], list[float]]:
    """The model as its description says it."""
    draw = Generator(study["seed"])
    busy: set[tuple[int, int]] = set()
    leaving: list[tuple[float, int, list[tuple[int, int]]]] = []
    now, number = 0.0, 0
    blocked, offered, lost = [], [], []
    for segment in study["segments"]:
        refused, asked, gone = 0, 0.0, 0.0
        for _ in range(segment):
            number += 1
            now += draw.exponential() / study["load"]
            while leaving and leaving[0][0] <= now:
                busy -= set(heapq.heappop(leaving)[2])
            candidates = study["demands"][draw.below(len(study["demands"]))]
            kind = draw.below(len(study["amount"]))
            holding = draw.exponential()
            while study["truncated"] and holding >= 2.0:
                holding = draw.exponential()
            asked += study["amount"][kind]
            for path, row in candidates:
                wanted = study["width"][row][kind]
                fits = (
                    [(link, slot) for link in path for slot in range(start, start + wanted)]
                    for start in range(study["slots"] - wanted + 1)
                )
                taken = next((slots for slots in fits if busy.isdisjoint(slots)), None)
                if taken is not None:
                    busy |= set(taken)
                    heapq.heappush(leaving, (now + holding, number, taken))
                    break
            else:
                refused += 1
                gone += study["amount"][kind]
        blocked.append(refused)
        offered.append(asked)
        lost.append(gone)
    return blocked, offered, lost


@settings(deadline=None, max_examples=120)
@given(studies())
def test_the_event_loop_equals_the_model(study: dict) -> None:
    words_per_link = -(-study["slots"] // 64)
    paths = [path for demand in study["demands"] for path in demand]
    counts = np.cumsum([0] + [len(demand) for demand in study["demands"]]).astype(np.uint32)
    hops = np.cumsum([0] + [len(path) for path, _ in paths]).astype(np.uint32)
    links = np.array([link * words_per_link for path, _ in paths for link in path], np.uint32)
    segments = np.array(study["segments"], np.int64)
    out = np.zeros(segments.size, np.int64), np.zeros(segments.size), np.zeros(segments.size)
    with np.errstate(over="ignore"):
        simulate_first_fit(
            counts[:-1], counts[1:], hops, links, np.array([row for _, row in paths], np.uint16),
            np.array(study["width"], np.int64), np.array(study["amount"]), study["links"], study["slots"],
            study["load"], study["truncated"], np.uint64(study["seed"]), segments, *out,
        )  # fmt: skip
    blocked, offered, lost = naive(study)
    assert out[0].tolist() == blocked
    assert out[1].tolist() == offered
    assert out[2].tolist() == lost
