"""Random numbers inside kernels: xoshiro256++ (Blackman and Vigna, ACM TOMS 47(4), 2021), seeded by splitmix64.

The state is four words; the same seed gives the same stream on every machine. Interpreted, the sums wrap with a
numpy warning that the shell silences (`numpy.errstate(over="ignore")`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_U = np.uint64
_UNIT = 2.0**-53


@njit(nogil=True, cache=True)
def seeded(seed: int) -> Any:
    """State of a stream: (4,) uint64, the first four outputs of splitmix64 from `seed` (uint64)."""
    state = np.empty(4, np.uint64)
    counter = _U(seed)
    for word in range(4):
        counter = counter + _U(0x9E3779B97F4A7C15)
        mixed = (counter ^ (counter >> _U(30))) * _U(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> _U(27))) * _U(0x94D049BB133111EB)
        state[word] = mixed ^ (mixed >> _U(31))
    return state


@njit(nogil=True, cache=True)
def next_word(state: Any) -> Any:
    """The next 64 random bits; `state` moves on."""
    first, second, third, fourth = state[0], state[1], state[2], state[3]
    total = first + fourth
    drawn = ((total << _U(23)) | (total >> _U(41))) + first
    shifted = second << _U(17)
    third ^= first
    fourth ^= second
    state[1] = second ^ third
    state[0] = first ^ fourth
    state[2] = third ^ shifted
    state[3] = (fourth << _U(45)) | (fourth >> _U(19))
    return drawn


@njit(nogil=True, cache=True)
def exponential(state: Any) -> float:
    """An exponentially distributed number of mean 1: -log(1-u) with u the top 53 bits of a word."""
    return -math.log(1.0 - float(next_word(state) >> _U(11)) * _UNIT)


@njit(nogil=True, cache=True)
def below(state: Any, count: Any) -> Any:
    """A number uniform over 0 … count-1 (uint64), from the top 32 bits of a word; count < 2³²."""
    return ((next_word(state) >> _U(32)) * count) >> _U(32)
