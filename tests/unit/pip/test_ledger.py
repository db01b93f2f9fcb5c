"""The provider's books: nothing is sold twice, and what is given back is whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, MetaData, create_engine, select
from sqlalchemy.pool import StaticPool

from controller.domain.errors import (
    GeysersError,
    InvalidRequest,
    NotFound,
    ResourceExhausted,
    SpectrumBlocked,
    StaleGeneration,
    WrongState,
)
from controller.domain.identity import Identity
from controller.domain.media import CrossConnect, SliceConfiguration
from controller.domain.offers import Catalogue, ItSiteOffer, LinkOffer, Location, NodeOffer, TransponderOffer
from controller.domain.qot import LinkQot, OperationalMode, QotSample
from controller.domain.reservation import ItPart, LinkPart, NodePart, Reservation, ReservationState
from controller.domain.spectrum import FrequencySlot
from controller.pip.ledger import Ledger
from controller.pip.schema import Tables, define_tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = [Identity.parse(f"geysers://demo/vip/{name}") for name in ("alpha", "beta")]
MODE = OperationalMode("400G", 400.0, 63.1, 75.0, 24.0, 36.0, 22.0)
QOT = LinkQot((QotSample(193.7, 1e-3, 1e-4, 2e-4),), 100.0, 0.5, 1700.0, 0.4)


def node(name: str, transponders: int) -> NodeOffer:
    offers = tuple(
        TransponderOffer(f"XPDR-{name}", f"NET{i}", f"CLIENT{i}", f"SRG1-PP{i}", (MODE,)) for i in range(transponders)
    )
    return NodeOffer("p", f"ROADM-{name}", Location(name), ("DEG1", "DEG2"), offers, 33.0, 500.0)


def link(source: str, port: str, destination: str, far_port: str) -> LinkOffer:
    link_id = f"ROADM-{source}.{port}"
    return LinkOffer("p", link_id, f"ROADM-{source}", port, f"ROADM-{destination}", far_port, False, (), QOT, 50.0)


CATALOGUE = Catalogue(
    (node("A", 3), node("B", 2)),
    (link("A", "DEG1", "B", "DEG2"), link("B", "DEG2", "A", "DEG1"), link("A", "DEG2", "Z", "")),
    (ItSiteOffer("p", "dc", Location("A"), 16, 64, 200, 64.0, 23.5, 1.3, 300.0, False),),
)
NODES = [offer.name for offer in CATALOGUE.nodes]
LINKS = [offer.name for offer in CATALOGUE.links]
SITE = CATALOGUE.it_sites[0].name


class Books:
    """A ledger over a database in memory; each call is a transaction."""

    def __init__(self) -> None:
        metadata = MetaData()
        self.tables: Tables = define_tables(metadata)
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(self.engine)
        self.ledger = Ledger("p", self.tables)
        self.count = 0

    def reserve(self, owner: Identity, wanted: Reservation, hold_s: float = 60.0, now: datetime = NOW) -> Reservation:
        self.count += 1
        with self.engine.begin() as connection:
            return self.ledger.reserve(connection, CATALOGUE, owner, wanted, hold_s, f"{self.count:016x}", now)

    def call(self, method: str, *arguments: object) -> object:
        with self.engine.begin() as connection:
            return getattr(self.ledger, method)(connection, *arguments)

    def remaining(self) -> Catalogue:
        return self.call("remaining", CATALOGUE)

    def rows(self) -> int:
        def count(connection: Connection) -> int:
            tables = [getattr(self.tables, name) for name in Tables.__slots__]
            return sum(len(connection.execute(select(table)).all()) for table in tables)

        with self.engine.begin() as connection:
            return count(connection)


@pytest.fixture
def books():
    opened = Books()
    yield opened
    opened.engine.dispose()


def band(first: int, m: int) -> FrequencySlot:
    return FrequencySlot.from_granules(first, first + 2 * m)


MIDDLE = FrequencySlot(0, 20)


def everything(slot: FrequencySlot = MIDDLE) -> Reservation:
    return Reservation(
        "gri:1",
        (NodePart("a", NODES[0], ("DEG1",), 2), NodePart("b", NODES[1], ("DEG2",), 1)),
        (LinkPart("ab", LINKS[0], slot), LinkPart("ba", LINKS[1], slot)),
        (ItPart("it", SITE, 8, 32, 100),),
    )


class Market(RuleBasedStateMachine):
    """Two brokers reserve, activate, let lapse and release at random; a model beside the books knows who has what."""

    @initialize()
    def open_books(self) -> None:
        self.books = Books()
        self.now = NOW
        self.model: dict[str, tuple[Identity, Reservation]] = {}

    def teardown(self) -> None:
        for name, (owner, _) in list(self.model.items()):
            self.give_back(owner, name)
        assert self.books.remaining() == CATALOGUE
        assert self.books.rows() == 0
        self.books.engine.dispose()

    def give_back(self, owner: Identity, name: str) -> None:
        reservation_id = self.books.call("begin_release", owner, name)
        if reservation_id is not None:
            assert self.books.call("find", owner, name).reservation.state is ReservationState.RELEASING
            self.books.call("forget", reservation_id)
        del self.model[name]

    def fits(self, wanted: Reservation) -> bool:
        """A plain reading of what is left, from the model alone."""
        held = [reservation for _, reservation in self.model.values()]
        bands = [(part.link, part.band) for r in held for part in r.link_parts]
        for part in wanted.link_parts:
            if any(name == part.link and taken.overlaps(part.band) for name, taken in bands):
                return False
            bands.append((part.link, part.band))
        for offer in CATALOGUE.nodes:
            counts = (p.transponder_count for r in [*held, wanted] for p in r.node_parts if p.node == offer.name)
            if sum(counts) > len(offer.transponders):
                return False
        parts = [p for r in [*held, wanted] for p in r.it_parts]
        sums = [sum(getattr(p, f) for p in parts) for f in ("vcpu_count", "memory_gib", "storage_gib")]
        return all(total <= capacity for total, capacity in zip(sums, (16, 64, 200), strict=True))

    @rule(
        owner=st.sampled_from(OWNERS),
        bands=st.lists(st.tuples(st.sampled_from(LINKS), st.integers(0, 40), st.integers(1, 6)), max_size=3),
        counts=st.tuples(st.integers(0, 2), st.integers(0, 2)),
        vcpus=st.integers(0, 9),
        hold_s=st.sampled_from([5.0, 1000.0]),
    )
    def reserve(self, owner, bands, counts, vcpus, hold_s) -> None:
        wanted = Reservation(
            "gri:x",
            tuple(
                NodePart(f"n{i}", name, ("DEG1", "DEG2"), count)
                for i, (name, count) in enumerate(zip(NODES, counts, strict=True))
            ),
            tuple(LinkPart(f"l{i}", name, band(first, m)) for i, (name, first, m) in enumerate(bands)),
            (ItPart("it", SITE, vcpus, vcpus, 10 * vcpus),) if vcpus else (),
        )
        before = self.books.remaining()
        fits = self.fits(wanted)
        try:
            held = self.books.reserve(owner, wanted, hold_s, self.now)
        except ResourceExhausted:
            assert not fits
            assert self.books.remaining() == before
        else:
            assert fits
            self.model[held.name] = (owner, held)

    @rule(data=st.data())
    def activate(self, data) -> None:
        if self.model:
            name = data.draw(st.sampled_from(sorted(self.model)))
            owner, _ = self.model[name]
            active = self.books.call("activate", owner, name, self.now)
            assert active.state is ReservationState.ACTIVE
            self.model[name] = (owner, active)

    @rule(data=st.data())
    def release(self, data) -> None:
        if self.model:
            name = data.draw(st.sampled_from(sorted(self.model)))
            self.give_back(self.model[name][0], name)

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def time_goes_by(self, seconds) -> None:
        self.now += timedelta(seconds=seconds)
        next_time = self.books.call("drop_lapsed", self.now)
        self.model = {
            name: (owner, held)
            for name, (owner, held) in self.model.items()
            if held.hold_expire_time is None or held.hold_expire_time > self.now
        }
        times = [held.hold_expire_time for _, held in self.model.values() if held.hold_expire_time is not None]
        assert next_time == min(times, default=None)

    @invariant()
    def books_and_model_agree(self) -> None:
        if not hasattr(self, "books"):
            return
        left = self.books.remaining()
        for offer in left.links:
            bands = [p.band for _, r in self.model.values() for p in r.link_parts if p.link == offer.name]
            assert list(offer.held_bands) == sorted(bands)
        assigned = [
            (t.device, t.network_port) for _, r in self.model.values() for p in r.node_parts for t in p.transponders
        ]
        assert len(set(assigned)) == len(assigned)
        free = {(t.device, t.network_port) for n in left.nodes for t in n.transponders if t.available}
        assert free.isdisjoint(assigned)
        assert len(free) + len(assigned) == 5
        sold = sum(p.vcpu_count for _, r in self.model.values() for p in r.it_parts)
        assert left.it_sites[0].vcpu_count == 16 - sold
        for owner in OWNERS:
            names = sorted(name for name, (holder, _) in self.model.items() if holder == owner)
            assert sorted(r.name for r in self.books.call("list_owned", owner, "")) == names


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_reservation_reads_back_as_it_was_made(books: Books) -> None:
    held = books.reserve(OWNERS[0], everything())
    assert held.name == "pips/p/reservations/0000000000000001"
    assert [t.network_port for t in held.node_parts[0].transponders] == ["NET0", "NET1"]
    assert held.hold_expire_time == NOW + timedelta(seconds=60)
    found = books.call("find", OWNERS[0], held.name)
    assert found.reservation == held
    assert found.heads == {LINKS[0]: ("ROADM-A", "DEG1"), LINKS[1]: ("ROADM-B", "DEG2")}
    assert found.cllis == {"ROADM-A": "A", "ROADM-B": "B"}
    assert books.call("list_owned", OWNERS[0], "gri:1") == (held,)
    assert books.call("list_owned", OWNERS[0], "gri:2") == ()


def test_another_owners_reservation_looks_like_none(books: Books) -> None:
    held = books.reserve(OWNERS[0], everything())
    messages = []
    for name in (held.name, "pips/p/reservations/00000000000000ff", "pips/q/reservations/0000000000000001", "x"):
        with pytest.raises(NotFound) as caught:
            books.call("find", OWNERS[1], name)
        messages.append(str(caught.value).replace(name, "NAME"))
    assert len(set(messages)) == 1
    assert books.call("begin_release", OWNERS[1], held.name) is None
    assert books.call("find", OWNERS[0], held.name).reservation == held


@pytest.mark.parametrize(
    ("wanted", "kind", "what"),
    [
        (Reservation("gri:1"), InvalidRequest, "no parts"),
        (Reservation("", it_parts=(ItPart("it", SITE, 1, 1, 0),)), InvalidRequest, "gri"),
        (Reservation("g", (NodePart("a", "pips/p/nodes/ROADM-Q", (), 0),)), NotFound, "ROADM-Q"),
        (Reservation("g", (NodePart("a", NODES[0], ("DEG7",), 0),)), NotFound, "DEG7"),
        (Reservation("g", (NodePart("a", NODES[0], ("DEG1", "DEG1"), 0),)), InvalidRequest, "twice"),
        (Reservation("g", link_parts=(LinkPart("l", "pips/p/links/x", band(0, 1)),)), NotFound, "links/x"),
        (Reservation("g", it_parts=(ItPart("it", "pips/p/itSites/x", 1, 1, 1),)), NotFound, "itSites/x"),
        (Reservation("g", it_parts=(ItPart("it", SITE, 0, 1, 1),)), InvalidRequest, "vcpu_count"),
        (Reservation("g", it_parts=(ItPart("", SITE, 1, 1, 1),)), InvalidRequest, "part_id"),
        (Reservation("g", it_parts=(ItPart("it", SITE, 1, 1, 1),) * 2), InvalidRequest, "twice"),
        (Reservation("g", (NodePart("a", NODES[0], ("DEG1",), 4),)), ResourceExhausted, "3 transponders left"),
        (Reservation("g", it_parts=(ItPart("it", SITE, 17, 1, 1),)), ResourceExhausted, "vcpu_count=16 left"),
        (
            Reservation("g", (NodePart("a", NODES[0], ("DEG2",), 0),), (LinkPart("l", LINKS[0], band(0, 1)),)),
            InvalidRequest,
            "DEG1",
        ),
        (
            Reservation("g", (NodePart("b", NODES[1], ("DEG1",), 0),), (LinkPart("l", LINKS[0], band(0, 1)),)),
            InvalidRequest,
            "DEG2",
        ),
    ],
)
def test_what_cannot_be_reserved_is_named(
    books: Books, wanted: Reservation, kind: type[GeysersError], what: str
) -> None:
    with pytest.raises(kind, match=what):
        books.reserve(OWNERS[0], wanted)
    assert books.rows() == 0


@pytest.mark.parametrize("hold_s", [0.0, -1.0, float("nan"), float("inf"), 3601.0, 1e15])
def test_a_hold_has_an_end(books: Books, hold_s: float) -> None:
    with pytest.raises(InvalidRequest, match="hold_time"):
        books.reserve(OWNERS[0], everything(), hold_s)


def test_a_blocked_band_blocks_the_whole_reservation(books: Books) -> None:
    books.reserve(OWNERS[0], everything())
    rows = books.rows()
    with pytest.raises(SpectrumBlocked) as caught:
        books.reserve(OWNERS[1], Reservation("g", link_parts=(
            LinkPart("free", LINKS[2], FrequencySlot(0, 20)), LinkPart("held", LINKS[1], FrequencySlot(39, 20)),
        )))  # fmt: skip
    assert caught.value.fields == {"link": LINKS[1], "n": 39, "m": 20}
    assert books.rows() == rows
    books.reserve(OWNERS[1], Reservation("g", link_parts=(LinkPart("beside", LINKS[1], FrequencySlot(40, 20)),)))


def test_a_release_keeps_everything_until_it_is_forgotten(books: Books) -> None:
    held = books.reserve(OWNERS[0], everything())
    books.call("activate", OWNERS[0], held.name, NOW)
    cross = CrossConnect("x", "DEG1", "SRG1-PP0", FrequencySlot(0, 7), 63.1)
    found = books.call("find", OWNERS[0], held.name)
    books.call("want_slice", found, "ROADM-A", 1, SliceConfiguration(frozenset({cross})))
    assert books.call("wanted_slice", found.reservation_id, "ROADM-A").cross_connects == {cross}
    assert books.call("begin_release", OWNERS[0], held.name) == found.reservation_id
    assert books.call("begin_release", OWNERS[0], held.name) == found.reservation_id
    assert books.call("wanted_slice", found.reservation_id, "ROADM-A") == SliceConfiguration()
    assert books.call("wanted_slice", found.reservation_id, "ROADM-B") is None
    with pytest.raises(WrongState):
        books.call("activate", OWNERS[0], held.name, NOW)
    with pytest.raises(WrongState):
        books.call("find_active", OWNERS[0], held.name)
    with pytest.raises(SpectrumBlocked):
        books.reserve(OWNERS[1], Reservation("g", link_parts=(LinkPart("l", LINKS[0], FrequencySlot(0, 1)),)))
    assert books.call("releasing") == [found.reservation_id]
    books.call("forget", found.reservation_id)
    assert books.call("wanted_slice", found.reservation_id, "ROADM-A") is None
    assert books.rows() == 0


def test_an_older_wish_never_replaces_a_younger_one(books: Books) -> None:
    held = books.reserve(OWNERS[0], everything())
    found = books.call("find", OWNERS[0], held.name)
    some = SliceConfiguration(frozenset({CrossConnect("x", "DEG1", "SRG1-PP0", FrequencySlot(0, 7), 63.1)}))
    books.call("want_slice", found, "ROADM-A", 3, some)
    books.call("want_slice", found, "ROADM-A", 3, some)
    for generation in (2, 3):
        with pytest.raises(StaleGeneration):
            books.call("want_slice", found, "ROADM-A", generation, SliceConfiguration())
    books.call("want_slice", found, "ROADM-A", 4, SliceConfiguration())
    books.call("want_slice", found, "ROADM-B", 1, some)
    assert books.call("devices_touched", found.reservation_id) == ["ROADM-A", "ROADM-B"]
    assert books.call("reservations_at", "ROADM-A") == [found.reservation_id]
