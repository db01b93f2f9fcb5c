"""What is configured and has not answered yet is not said to be absent."""

from __future__ import annotations

import pytest

from controller.domain.errors import DeviceUnreachable
from controller.domain.offers import Location
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation
from controller.domain.spectrum import FrequencySlot
from controller.pip.stock import ItSiteSettings, Stock
from tests.unit.pip.test_inventory import FACTS, FIGURES

BAND = FrequencySlot(0, 20)


@pytest.fixture
def stock(tmp_path) -> Stock:
    site = ItSiteSettings("dc", Location("AMS"), tmp_path / "admin.json", 0.0)
    return Stock("p", FACTS, [site], FIGURES)


def node(device: str) -> Reservation:
    return Reservation("g", (NodePart("n", f"pips/p/nodes/{device}", (), 0),))


def link(link_id: str) -> Reservation:
    return Reservation("g", (), (LinkPart("l", f"pips/p/links/{link_id}", BAND),))


def site(site_id: str) -> Reservation:
    return Reservation("g", (), (), (ItPart("i", f"pips/p/itSites/{site_id}", 1, 1, 0),))


@pytest.mark.parametrize(
    ("wanted", "silent"),
    [(node("R-AMS"), "R-AMS"), (link("R-AMS.R-AMS-west"), "R-AMS"), (site("dc"), "dc")],
    ids=["node", "link", "site"],
)
def test_equipment_that_has_not_answered_is_unreachable(stock: Stock, wanted: Reservation, silent: str) -> None:
    with pytest.raises(DeviceUnreachable, match=f"{silent} has not answered yet"):
        stock.check_answered(wanted)


def test_a_link_waits_for_its_far_end(stock: Stock) -> None:
    stock.learn_device(FACTS["R-AMS"])
    stock.check_answered(node("R-AMS"))
    stock.check_answered(link("R-AMS.R-AMS-south"))
    with pytest.raises(DeviceUnreachable, match="R-LON has not answered yet"):
        stock.check_answered(link("R-AMS.R-AMS-west"))
    stock.learn_device(FACTS["R-LON"])
    stock.check_answered(link("R-AMS.R-AMS-west"))


@pytest.mark.parametrize("wanted", [node("R-XXX"), link("R-XXX.DEG1"), site("elsewhere")])
def test_what_is_not_configured_is_left_to_be_refused_as_absent(stock: Stock, wanted: Reservation) -> None:
    stock.check_answered(wanted)
