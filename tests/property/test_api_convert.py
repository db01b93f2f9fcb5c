"""Domain types survive the wire: what is written is read back the same."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from controller.api.convert import nips, pip, types, vi
from controller.domain.infrastructure import (
    NetconfAddress,
    VirtualInfrastructure,
    VirtualInfrastructureState,
    VirtualItSite,
    VirtualLink,
    VirtualNode,
)
from controller.domain.it import ItResourceState, Server, Steering
from controller.domain.media import CrossConnect, LineSetting, Reception, SliceConfiguration
from controller.domain.nips import (
    MachineDemand,
    Nips,
    NipsAnswer,
    NipsDemand,
    NipsObjective,
    NipsState,
    WeighedRefusal,
)
from controller.domain.offers import Catalogue, ItSiteOffer, LinkOffer, Location, NodeOffer, TransponderOffer
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation, ReservationState, SliceReading
from controller.domain.spectrum import GRANULES, FrequencySlot

word = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
count = st.integers(0, 10_000)
amount = st.floats(0, 1e6, allow_nan=False)
instant = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@st.composite
def slots(draw):
    m = draw(st.integers(1, 40))
    first = draw(st.integers(0, GRANULES - 2 * m))
    return FrequencySlot.from_granules(first, first + 2 * m)


def many(strategy, most=3):
    return st.lists(strategy, max_size=most).map(tuple)


locations = st.builds(Location, word, word, word, st.floats(-90, 90), st.floats(-180, 180))
modes = st.builds(OperationalMode, word, *[st.floats(1, 1000)] * 3, st.floats(-5, 40), st.floats(0, 50), amount)
samples = st.lists(
    st.builds(QotSample, st.floats(190, 197), amount, amount, amount),
    min_size=1,
    max_size=4,
    unique_by=lambda entry: entry.center_thz,
).map(lambda found: tuple(sorted(found, key=lambda entry: entry.center_thz)))
qots = st.builds(LinkQot, samples, amount, amount, amount, amount)
servers = st.builds(Server, word, count, count, count, st.none() | st.sampled_from(ItResourceState), word, word, word)
transponders = st.builds(TransponderOffer, word, word, word, word, many(modes), st.booleans())
nodes = st.builds(NodeOffer, word, word, locations, many(word), many(transponders), amount, amount)
links = st.builds(LinkOffer, word, word, word, word, word, word, st.booleans(), many(slots()), qots, amount)
sites = st.builds(
    ItSiteOffer, word, word, locations, count, count, count, amount, amount, amount, amount, st.booleans()
)
reservations = st.builds(
    Reservation,
    gri=word,
    node_parts=many(st.builds(NodePart, word, word, many(word), count, many(transponders))),
    link_parts=many(st.builds(LinkPart, word, word, slots())),
    it_parts=many(st.builds(ItPart, word, word, count, count, count)),
    name=word,
    state=st.sampled_from(ReservationState),
    hold_expire_time=st.none() | instant,
)
configurations = st.builds(
    SliceConfiguration,
    st.frozensets(st.builds(CrossConnect, word, word, word, slots(), amount), max_size=4),
    st.frozensets(st.builds(LineSetting, word, slots(), word, st.floats(-30, 10)), max_size=4),
)
receptions = st.builds(Reception, word, st.floats(-60, 10), st.none() | st.floats(0, 60), word)
addresses = st.builds(NetconfAddress, word, st.integers(0, 65535), word, word)
infrastructures = st.builds(
    VirtualInfrastructure,
    name=word,
    nodes=many(
        st.builds(
            VirtualNode,
            word,
            word,
            count,
            st.none() | addresses,
            st.none() | addresses,
            st.none() | locations,
            amount,
            many(modes),
        )
    ),
    links=many(
        st.builds(VirtualLink, word, word, word, slots(), st.none() | qots, st.none() | qots, word, word, amount)
    ),
    it_sites=many(st.builds(VirtualItSite, word, word, word, count, count, count, amount, amount, amount, amount)),
    ssh_public_key=word,
    state=st.none() | st.sampled_from(VirtualInfrastructureState),
    gri=word,
    create_time=st.none() | instant,
)
demands = st.builds(
    NipsDemand,
    name=word,
    source_node_id=word,
    bit_rate_gbps=st.floats(1, 1000),
    destination_node_id=word,
    machine=st.none() | st.builds(MachineDemand, st.integers(1, 99), st.integers(1, 99), count, many(word)),
    objective=st.sampled_from(NipsObjective),
    min_margin_db=st.floats(0, 5),
    vlan_id=st.integers(1, 4094),
)
answers = st.builds(
    NipsAnswer,
    many(word),
    slots(),
    word,
    *[amount] * 5,
    word,
    many(st.builds(WeighedRefusal, word, word, amount, word, word)),
)
services = st.builds(
    Nips,
    demands,
    st.sampled_from(NipsState),
    instant,
    st.none() | answers,
    st.none() | servers,
    st.none() | amount,
    word,
)


@given(st.builds(Catalogue, many(nodes), many(links), many(sites)))
def test_catalogue(catalogue) -> None:
    assert pip.catalogue_from(pip.catalogue_to(catalogue)) == catalogue


@given(reservations)
def test_reservation(reservation) -> None:
    assert pip.reservation_from(pip.reservation_to(reservation)) == reservation


@given(st.builds(SliceReading, configurations, many(receptions), amount))
def test_slice(reading) -> None:
    assert pip.reading_from(pip.reading_to(reading)) == reading


@given(infrastructures)
def test_infrastructure(infrastructure) -> None:
    message = vi.infrastructure_to(infrastructure)
    assert vi.infrastructure_from(message, message.name) == infrastructure


@given(services)
def test_nips(service) -> None:
    assert nips.nips_from(nips.nips_to(service)) == service


@given(servers)
def test_server(server) -> None:
    assert types.server_from(types.server_to(server)) == server


@given(st.builds(Steering, word, word, st.integers(1, 4094)))
def test_steering(steering) -> None:
    assert pip.steering_from(pip.steering_to(steering)) == steering
    assert vi.steering_from(vi.steering_to(steering)) == steering
