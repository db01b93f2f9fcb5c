"""Dynamic provisioning: requests arrive, hold spectrum for a while and leave; who finds none is blocked.

Time runs in mean holding times. Departures stand in a calendar: a ring of buckets, one mean time between arrivals
wide, each a chain of entries in no order. A bucket is emptied of what has ended whenever time reaches or crosses it;
entries of a later turn of the ring stay. The order of departures between two arrivals changes nothing, so no heap is
needed and an entry costs O(1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pce.core.random_numbers import below, exponential, seeded
from pce.core.words import lowest_run, mark

_U = np.uint64
_TRUNCATED_AT = 2.0
_RING_HOLDING_TIMES = 8.0
_RING_BUCKETS_MAX = 65536


@njit(nogil=True, cache=True)
def _ring_size(load: float) -> int:
    buckets = 64
    while buckets < _RING_HOLDING_TIMES * load and buckets < _RING_BUCKETS_MAX:
        buckets *= 2
    return buckets


@njit(nogil=True, cache=True)
def _holding_time(state: Any, truncated: bool) -> float:
    """Exponential of mean 1; truncated: drawn again until it is below 2."""
    drawn = exponential(state)
    while truncated and drawn >= _TRUNCATED_AT:
        drawn = exponential(state)
    return drawn


@njit(nogil=True, cache=True)
def _empty_spectrum(links: int, words: int, slots: int) -> Any:
    free = np.zeros(links * words, np.uint64)
    for link in range(links):
        for slot in range(slots):
            free[link * words + slot // 64] |= _U(1) << _U(slot % 64)
    return free


@njit(nogil=True, cache=True)
def _release(
    now: float,
    bucket: Any,
    last: Any,
    idle: Any,
    ring: Any,
    following: Any,
    departure: Any,
    held: Any,
    hops: Any,
    links: Any,
    free: Any,
) -> Any:
    """Give back the spectrum of all in buckets bucket … last that ended by `now`; returns the first idle entry."""
    turn = _U(ring.size - 1)
    while True:
        place = _U(bucket) & turn
        before = -1
        entry = ring[place]
        while entry >= 0:
            behind = following[entry]
            if departure[entry] <= now:
                path = held[entry, 0]
                mark(free, links, hops[path], hops[path + 1], _U(held[entry, 1]), _U(held[entry, 2]), True)
                if before < 0:
                    ring[place] = behind
                else:
                    following[before] = behind
                following[entry] = idle
                idle = entry
            else:
                before = entry
            entry = behind
        if bucket == last:
            return idle
        bucket += 1


@njit(nogil=True, cache=True)
def _enter(
    ends: float,
    load: float,
    entry: Any,
    ring: Any,
    following: Any,
    departure: Any,
    held: Any,
    path: int,
    start: int,
    width: int,
) -> Any:
    """Put a departure into the idle `entry` of the calendar; returns the next idle entry."""
    idle = following[entry]
    departure[entry] = ends
    held[entry, 0] = path
    held[entry, 1] = start
    held[entry, 2] = width
    place = _U(ends * load) & _U(ring.size - 1)
    following[entry] = ring[place]
    ring[place] = entry
    return idle


@njit(nogil=True, cache=True)
def simulate_first_fit(
    first: Any,
    last: Any,
    hops: Any,
    links: Any,
    modulation: Any,
    width: Any,
    amount: Any,
    link_count: int,
    slots: int,
    load: float,
    truncated: bool,
    seed: Any,
    segments: Any,
    blocked: Any,
    offered_amount: Any,
    blocked_amount: Any,
) -> None:
    """K-shortest-path first-fit (KSP-FF) under Poisson arrivals, counted per segment of the run.

    first, last : (D,) uint32   candidate paths of demand d are first[d] … last[d]-1, tried in that order; d is uniform
    hops        : (P+1,) uint32 links of path p are links[hops[p]:hops[p+1]]
    links       : (X,) uint32   first spectrum word of the link: link number · words per link
    modulation  : (P,) uint16   row of `width` for the path
    width       : (M, B) int64  slots that traffic class b needs, guard band included, ≥ 1; b is uniform
    amount      : (B,) float64  bit rate of the class, any unit
    link_count, slots : int64   links, and slots on each
    load        : float64       arrivals per mean holding time (Erlang), > 0
    truncated   : bool          holding times drawn again until < 2 means
    seed        : uint64
    segments    : (S,) int64    requests of each segment of the run; the first is the warm-up
    blocked     : (S,) int64    out: requests blocked
    offered_amount, blocked_amount : (S,) float64   out

    Small integers throughout: what one request touches should stay in the first-level cache.
    Draws per request, in this order: time since the last arrival, demand, class, holding time. A departure at the very
    time of an arrival comes before it. Cost per request O(hops · words) per path tried; departures O(1).
    """
    words = (slots + 63) // 64
    free = _empty_spectrum(link_count, words, slots)
    ring = np.full(_ring_size(load), -1, np.int32)
    # Every connection holds at least one slot of one link.
    entries = link_count * slots
    following = np.arange(1, entries + 1).astype(np.int32)
    departure, held = np.empty(entries, np.float64), np.empty((entries, 3), np.int32)
    idle, bucket = np.int64(0), np.int64(0)
    state = seeded(seed)
    now = 0.0
    for segment in range(segments.size):
        refused, asked, lost = 0, 0.0, 0.0
        for _ in range(segments[segment]):
            now += exponential(state) / load
            today = np.int64(now * load)
            idle = _release(now, bucket, today, idle, ring, following, departure, held, hops, links, free)
            bucket = today
            demand = below(state, _U(first.size))
            kind = below(state, _U(amount.size))
            ends = now + _holding_time(state, truncated)
            asked += amount[kind]
            start = -1
            for path in range(first[demand], last[demand]):
                wanted = width[modulation[path], kind]
                start = lowest_run(free, links, hops[path], hops[path + 1], _U(words), _U(wanted))
                if start >= 0:
                    mark(free, links, hops[path], hops[path + 1], _U(start), _U(wanted), False)
                    idle = _enter(ends, load, idle, ring, following, departure, held, path, start, wanted)
                    break
            if start < 0:
                refused += 1
                lost += amount[kind]
        blocked[segment], offered_amount[segment], blocked_amount[segment] = refused, asked, lost
