"""How a script fails, and which error that is."""

import pytest
from tests.unit.fakes import FakeTransport

from vendetta.errors import (
    EngineForbidden,
    EngineUnavailable,
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    SnapshotNotFound,
    UnexpectedReply,
    VendettaError,
    WrongState,
)
from vendetta.models import InstanceSpec
from vendetta.providers.lxc.classic import Classic
from vendetta.providers.lxc.classic.host import GREETING, Host, load_script
from vendetta.providers.lxc.classic.marks import build_mark
from vendetta.transport import CommandResult

SCRIPTS = ("create", "exec", "list", "push", "template", "watch")


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def host(transport: FakeTransport) -> Host:
    return Host(transport, "us")


@pytest.mark.parametrize(
    ("status", "said", "complaint", "error"),
    [
        (66, "", "", InstanceNotFound),
        (65, "RUNNING\n", "", WrongState),
        (67, "", "ERROR: no", ImageNotFound),
        (68, "lxcbr0\n", "", EngineUnavailable),
        (69, "lxcbr0\n", "", OutOfResources),
        (70, "", "", NameTaken),
        (71, "", "", SnapshotNotFound),
        (72, "/srv\n", "", InvalidInput),
        (1, "", "tar: write error: No space left on device", OutOfResources),
        (1, "", 'Failed to attach "veth1" to bridge "lxcbr0", bridge interface doesn\'t exist', ProviderError),
        (127, "", "sh: 5: lxc-start: not found", EngineUnavailable),
        (1, "", "first\nsecond", ProviderError),
    ],
)
def test_each_status_has_its_error(
    host: Host, status: int, said: str, complaint: str, error: type[VendettaError]
) -> None:
    result = CommandResult(status, f"welcome\nvendetta-begins\n{said}".encode(), complaint.encode())
    with pytest.raises(error) as caught:
        host.parse("start web", "web", result)
    assert type(caught.value) is error


def test_what_a_login_says_first_is_passed_over(host: Host) -> None:
    assert host.parse("list", "", CommandResult(0, b"Welcome to\nvendetta\nvendetta-begins\na\nb\n", b"")) == "a\nb\n"


@pytest.mark.parametrize(
    "complaint",
    ["sudo: a password is required", "Sorry, user dev may not run sudo on node.", "sh: sudo: not found", ""],
)
def test_without_root_the_engine_is_forbidden(host: Host, complaint: str) -> None:
    with pytest.raises(EngineForbidden) as caught:
        host.parse("list", "", CommandResult(1, b"", complaint.encode()))
    assert caught.value.hint


def test_a_node_that_runs_no_script_is_unexpected(host: Host) -> None:
    with pytest.raises(UnexpectedReply):
        host.parse("list", "", CommandResult(1, b"", b"This account is not available."))


@pytest.mark.parametrize("script", SCRIPTS)
def test_comments_stay_here(script: str) -> None:
    assert not [line for line in load_script(script).splitlines() if line.lstrip().startswith("#")]


async def test_a_name_made_from_another_spec_is_taken(transport: FakeTransport) -> None:
    backend = Classic(transport, "us")
    mark = build_mark("web", InstanceSpec(image="busybox", env={"A": "1"}), "us", "1234")

    async def run(*_: object, **__: object) -> CommandResult:
        return CommandResult(0, f"vendetta-begins\nSTOPPED - no {mark}\n".encode(), b"")

    transport.run = run  # type: ignore[method-assign]
    with pytest.raises(NameTaken):
        await backend.create("web", InstanceSpec(image="busybox"), lambda _: None)


async def test_a_node_without_lxc_is_undetected(transport: FakeTransport) -> None:
    async def run(*_: object, **__: object) -> CommandResult:
        return CommandResult(0, GREETING, b"")

    transport.run = run  # type: ignore[method-assign]
    assert (await Classic(transport, "us").probe()).state == "undetected"
    assert [check.state for check in await Classic(transport, "us").checks()] == ["skipped"]


async def test_a_sudo_that_asks_is_told_with_what_mends_it(transport: FakeTransport) -> None:
    async def run(*_: object, **__: object) -> CommandResult:
        return CommandResult(1, b"", b"sudo: a password is required\n")

    transport.run = run  # type: ignore[method-assign]
    assert (await Classic(transport, "us").probe()).state == "unhealthy"
    (check,) = await Classic(transport, "us").checks()
    assert (check.state, check.mend is not None) == ("warning", True)
