"""A demand that contradicts itself is refused by field and value."""

import pytest

from controller.domain.errors import InvalidRequest
from controller.domain.nips import NipsDemand


@pytest.mark.parametrize("margin_db", [-1e308, -0.1, 100.0, 1e308, float("inf"), float("nan")])
def test_margin_below_the_threshold_or_beyond_reason_is_refused(margin_db: float) -> None:
    with pytest.raises(InvalidRequest, match="at least 0") as refused:
        NipsDemand("vios/alpha/nips/n", "a", 400.0, "b", min_margin_db=margin_db, vlan_id=1)
    assert refused.value.fields["field"] == "nips.min_margin_db"


def test_no_margin_and_a_usual_one_are_taken() -> None:
    for margin_db in (0.0, 3.0):
        assert NipsDemand("vios/alpha/nips/n", "a", 400.0, "b", min_margin_db=margin_db, vlan_id=1)
