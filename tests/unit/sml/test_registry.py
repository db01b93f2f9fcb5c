"""Every move between states that is not drawn is refused, and each one that is drawn is told in its transaction."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import MetaData, create_engine

from controller.domain.errors import NotFound, ResourceExhausted, WrongState
from controller.domain.identity import Identity, Role
from controller.domain.infrastructure import VirtualInfrastructure, VirtualInfrastructureState, VirtualNode
from controller.ports.rng import SeededRng
from controller.sml.registry import ENDED, LEGAL, Registry
from controller.sml.schema import define_tables
from tests.licl_vip import Witness

State = VirtualInfrastructureState
OWNER = Identity("demo", Role.VIO, "alpha")
NAME = "vios/alpha/virtualInfrastructures/blue"
WANTED = VirtualInfrastructure(NAME, (VirtualNode("a", "AMS", 1),), (), (), "ssh-ed25519 x")
NOW = datetime(2026, 11, 25, tzinfo=UTC)
# The shortest way to each state.
WAYS = {
    State.REQUESTED: [],
    State.RESERVED: [State.RESERVED],
    State.DEPLOYING: [State.RESERVED, State.DEPLOYING],
    State.ACTIVE: [State.RESERVED, State.DEPLOYING, State.ACTIVE],
    State.DECOMMISSIONING: [State.DECOMMISSIONING],
    State.DECOMMISSIONED: [State.DECOMMISSIONING, State.DECOMMISSIONED],
    State.FAILED: [State.FAILED],
}


@pytest.fixture
def connection():
    metadata = MetaData()
    tables = define_tables(metadata)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.info["registry"] = Registry(tables, SeededRng(1))
        yield connection
    engine.dispose()


@pytest.fixture
def registry(connection):
    registry = connection.info["registry"]
    registry.observer = Witness()
    registry.add(connection, OWNER, WANTED, "geysers://demo/vip/b/gri/1", NOW)
    return registry


@pytest.mark.parametrize("target", list(State))
@pytest.mark.parametrize("state", list(State))
def test_only_drawn_moves_are_made(connection, registry, state, target) -> None:
    for step in WAYS[state]:
        registry.move(connection, NAME, step)
    before = registry.find(connection, NAME)
    told = len(registry.observer.ends)
    if target in LEGAL[state]:
        assert registry.move(connection, NAME, target).state is target
        assert registry.find(connection, NAME).state is target
        assert registry.observer.changes[-1] == (NAME, target)
        assert len(registry.observer.ends) - told == (target in ENDED or target is State.ACTIVE)
    else:
        with pytest.raises(WrongState, match=state.value):
            registry.move(connection, NAME, target)
        assert registry.find(connection, NAME) == before


def test_first_reason_of_a_failure_is_kept_and_told(connection, registry) -> None:
    registry.keep_failure(connection, NAME, ResourceExhausted("first"))
    registry.keep_failure(connection, NAME, WrongState("second"))
    registry.move(connection, NAME, State.FAILED)
    name, reason = registry.observer.ends[-1]
    assert (name, type(reason), reason.message) == (NAME, ResourceExhausted, "first")


def test_another_owners_looks_like_none(connection, registry) -> None:
    other = Identity("demo", Role.VIO, "beta")
    for name in (NAME, "vios/alpha/virtualInfrastructures/none"):
        with pytest.raises(NotFound, match=f"^{name} not found$"):
            registry.find(connection, name, other)
    assert registry.names(connection, other) == ()


def test_what_is_over_is_not_driven_again(connection, registry) -> None:
    assert registry.unfinished(connection) == (NAME,)
    registry.move(connection, NAME, State.FAILED)
    assert registry.unfinished(connection) == ()
