"""Who wants to know that a durable thing changed, inside the transaction that changes it."""

from typing import Protocol, TypeVar

from sqlalchemy import Connection

from controller.domain.errors import GeysersError

Thing_contra = TypeVar("Thing_contra", contravariant=True)


class Observer(Protocol[Thing_contra]):
    """The adapter that keeps operations in step with the things they are about."""

    def changed(self, connection: Connection, name: str, thing: Thing_contra) -> None:
        """The thing called `name` moved on; its operation goes on."""
        ...

    def ended(self, connection: Connection, name: str, outcome: Thing_contra | GeysersError) -> None:
        """The work that was asked for ended, with the thing as it is now or with why it could not be done."""
        ...
