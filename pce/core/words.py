"""Spectrum as words: bit s % 64 of word s // 64 of a link is set while slot s is free on it.

`free` is (L·W,) uint64, W words per link. A path is a run of `offsets`, each the first word of one of its links, so
that no row is multiplied out while it is searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

NONE_FREE = -1
_U = np.uint64
_WORD = _U(64)
_ALL = _U(0xFFFFFFFFFFFFFFFF)


def trailing_zeros(word: Any) -> Any:
    """Zeros below the lowest set bit of a word that is not 0."""
    bits = int(word)
    return _U((bits & -bits).bit_length() - 1)


def leading_zeros(word: Any) -> Any:
    """Zeros above the highest set bit of a word."""
    return _U(64 - int(word).bit_length())


def _cttz(_typing: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


def _ctlz(_typing: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.uint64(types.uint64), generate


_trailing_zeros_instruction: Any = intrinsic(_cttz)
_leading_zeros_instruction: Any = intrinsic(_ctlz)


@overload(trailing_zeros)
def _compiled_trailing_zeros(word: Any) -> Any:
    def instruction(word: Any) -> Any:
        return _trailing_zeros_instruction(word)

    return instruction


@overload(leading_zeros)
def _compiled_leading_zeros(word: Any) -> Any:
    def instruction(word: Any) -> Any:
        return _leading_zeros_instruction(word)

    return instruction


@njit(nogil=True, cache=True)
def starts_of_runs(word: Any, length: Any) -> Any:
    """Bits of `word` at which `length` ≥ 1 set bits begin inside it; shifted ANDs, log2(length) of them."""
    left, step = length - _U(1), _U(1)
    while left and word:
        step = min(step, left)
        word &= word >> step
        left -= step
        step += step
    return word


@njit(nogil=True, cache=True)
def lowest_run(free: Any, offsets: Any, begin: Any, end: Any, words: Any, length: Any) -> Any:
    """Lowest slot from which `length` slots are free on every link of the path offsets[begin:end], or -1.

    words, length : uint64   W; 1 ≤ length
    A run that began in earlier words is carried as its length so far: it lies below any run inside the next word.
    Cost O(W·H), no allocation; stops at the word that holds the end of the run.
    """
    carried = _U(0)
    for word in range(words):
        common = free[offsets[begin] + word]
        for hop in range(begin + 1, end):
            common &= free[offsets[hop] + word]
        if common == _U(0):
            carried = _U(0)
            continue
        used = ~common
        low = _WORD if used == _U(0) else trailing_zeros(used)
        if carried + low >= length:
            return np.int64(_U(word) * _WORD - carried)
        if used == _U(0):
            carried += _WORD
            continue
        starts = starts_of_runs(common, length)
        if starts:
            return np.int64(_U(word) * _WORD + trailing_zeros(starts))
        carried = leading_zeros(used)
    return NONE_FREE


@njit(nogil=True, cache=True)
def mark(free: Any, offsets: Any, begin: Any, end: Any, start: Any, length: Any, is_free: bool) -> None:
    """Set or clear the bits of slots start … start+length-1 (uint64) on every link of the path offsets[begin:end]."""
    last = start + length - _U(1)
    first_word, last_word = start >> _U(6), last >> _U(6)
    for word in range(first_word, last_word + _U(1)):
        mask = _ALL
        if word == first_word:
            mask <<= start & _U(63)
        if word == last_word:
            mask &= _ALL >> (_U(63) - (last & _U(63)))
        for hop in range(begin, end):
            if is_free:
                free[offsets[hop] + word] |= mask
            else:
                free[offsets[hop] + word] &= ~mask
