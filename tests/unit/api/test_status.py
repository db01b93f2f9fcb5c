"""Every domain error has a wire code, and comes back as itself."""

import pytest

from controller.api import status
from controller.domain import errors


def _kinds() -> list[type[errors.GeysersError]]:
    found, queue = [errors.GeysersError], [errors.GeysersError]
    while queue:
        kind = queue.pop()
        children = kind.__subclasses__()
        queue.extend(children)
        found.extend(children)
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", _kinds())
def test_error_round_trips(kind: type[errors.GeysersError]) -> None:
    sent = kind("link L1 is full: take another", link="L1")
    received = status.from_status(status.to_status(sent))
    assert type(received) is kind
    assert received.message == sent.message
    assert received.fields == {"link": "L1"}


def test_new_subclass_counts_as_its_ancestor() -> None:
    class Rare(errors.SpectrumBlocked):
        pass

    assert type(status.from_status(status.to_status(Rare("no slot")))) is errors.SpectrumBlocked
