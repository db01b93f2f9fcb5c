"""Pages of lists (AIP-158): at most so many, and a token that says where to go on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from controller.domain.errors import InvalidRequest

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
T = TypeVar("T")


def page(items: Sequence[T], name_of: Callable[[T], str], page_size: int, page_token: str) -> tuple[list[T], str]:
    """One page of `items` in order of name, and the token of the next page, empty on the last.

    The token holds the last name shown, so a list that changes between pages repeats and skips nothing else.
    """
    if page_size < 0:
        raise InvalidRequest(f"page_size {page_size}: use 0 to {MAX_PAGE_SIZE}", field="page_size", value=page_size)
    count = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    after = _name_in(page_token)
    rest = sorted((item for item in items if name_of(item) > after), key=name_of)
    shown = rest[:count]
    token = base64.urlsafe_b64encode(name_of(shown[-1]).encode()).decode() if len(rest) > count else ""
    return shown, token


def _name_in(token: str) -> str:
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidRequest(
            f"page_token {token!r} is none of ours: send the one of the page before, or none", field="page_token"
        ) from error
