"""What a person hears when a server is absent, an outcome is in doubt, or the wait is broken off."""

from __future__ import annotations

import re

import pytest

from controller.cli.calls import Server, ask
from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, GeysersError, InvalidRequest, NotFound

VIP = Server("VIP", "127.0.0.1:50051", "--vip", "geysers vip serve")


class Client:
    """A client that fails at the health check, or not."""

    def __init__(self, at_check: GeysersError | None = None) -> None:
        self.at_check = at_check
        self.closed = False

    async def check_serving(self) -> None:
        if self.at_check is not None:
            raise self.at_check

    async def close(self) -> None:
        self.closed = True


async def name_of(client: Client) -> str:
    return "blue"


def raising(error: BaseException):
    async def question(client: Client) -> str:
        raise error

    return question


def test_an_answer_is_handed_back_and_the_client_closed() -> None:
    client = Client()
    assert ask(VIP, lambda target: client, name_of) == "blue"
    assert client.closed


def test_an_absent_server_is_named_with_address_and_the_command_that_starts_it() -> None:
    client = Client(DeviceUnreachable("UNAVAILABLE: failed to connect: ipv4:127.0.0.1:50051: Connection refused"))
    with pytest.raises(DeviceUnreachable) as caught:
        ask(VIP, lambda target: client, name_of, doing="ordering", if_in_doubt="look")
    assert caught.value.message == (
        "no VIP answers at 127.0.0.1:50051 (Connection refused): start it with `geysers vip serve`, "
        "or say where it is with --vip"
    )
    assert client.closed


def test_a_foreign_certificate_is_not_taken_for_an_absent_server() -> None:
    client = Client(DeviceUnreachable("UNAVAILABLE: Ssl handshake failed: CERTIFICATE_VERIFY_FAILED"))
    with pytest.raises(DeviceUnreachable, match=re.escape("certificate of another authority")):
        ask(VIP, lambda target: client, name_of)


@pytest.mark.parametrize("kind", [DeviceInDoubt, DeviceUnreachable])
def test_an_outcome_in_doubt_says_how_to_look(kind: type[GeysersError]) -> None:
    with pytest.raises(kind) as caught:
        ask(VIP, lambda target: Client(), raising(kind("not done after 120 s")), if_in_doubt="look with `geysers vi`")
    assert caught.value.message == "not done after 120 s; look with `geysers vi`"


def test_a_definite_answer_is_handed_on_as_it_is() -> None:
    with pytest.raises(NotFound) as caught:
        ask(VIP, lambda target: Client(), raising(NotFound("no")), if_in_doubt="look")
    assert caught.value.message == "no"


def test_who_breaks_off_hears_that_the_server_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(VIP, lambda target: Client(), raising(KeyboardInterrupt()), doing="ordering blue", if_in_doubt="look there")
    assert capsys.readouterr().err == "interrupted, but the VIP goes on: look there\n"


def test_breaking_off_a_mere_look_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(VIP, lambda target: Client(), raising(KeyboardInterrupt()))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("target", ["", "localhost", "localhost:", ":50051", "localhost:x", "a:0", "a:65536", "a:٣"])
def test_an_address_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequest, match="write HOST:PORT"):
        ask(Server("VIP", target, "--vip", ""), lambda target: Client(), name_of)
