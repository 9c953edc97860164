"""What is told of a node that can't be logged in to."""

from datetime import UTC, datetime

import pytest

from vendetta.coordination.doctor.login_failures import STAGES, build_checks, build_mend, find_stage
from vendetta.errors import (
    AuthFailed,
    ConnectFailed,
    Forbidden,
    ForwardingRefused,
    HostKeyChanged,
    HostKeyUnknown,
    InvalidInput,
    LinkTimeout,
    VendettaError,
)
from vendetta.models import Node

NODE = Node(id="n", name="gpu", address="gpu.lan", user=None, port=None, since=datetime.now(UTC))
BEHIND = Node(id="n", name="gpu", address="gpu.lan", user=None, port=None, jump=["me@b"], since=datetime.now(UTC))
KEY = "ssh-ed25519 AAAA me@home vendetta"


@pytest.mark.parametrize("stage", STAGES)
def test_what_comes_before_is_well_and_what_comes_after_is_skipped(stage: str) -> None:
    checks = build_checks(stage, ConnectFailed("no"), "mend it", ["terminal", "docker"])
    assert [check.name for check in checks] == [*STAGES, "terminal", "docker"]
    at = STAGES.index(stage)
    assert {check.state for check in checks[:at]} <= {"ok"}
    assert (checks[at].state, checks[at].detail, checks[at].mend) == ("failure", "no", "mend it")
    assert {check.state for check in checks[at + 1 :]} == {"skipped"}


def test_where_no_command_mends_it_the_hint_is_told() -> None:
    check = build_checks("login", Forbidden("no", hint="Do that."), None, [])[-1]
    assert check.detail == "no. Do that."


@pytest.mark.parametrize(
    ("error", "jumps", "stage"),
    [
        (HostKeyUnknown("x"), False, "host-key"),
        (HostKeyChanged("x"), True, "host-key"),
        (AuthFailed("x"), False, "login"),
        (LinkTimeout("x"), False, "login"),
        (ConnectFailed("x"), False, "port"),
        (ConnectFailed("x"), True, "route"),
        (ForwardingRefused("x"), True, "route"),
        (InvalidInput("x"), False, "login"),
        (Forbidden("x"), False, "login"),
    ],
)
def test_stages_of_a_login_to_a_host_that_answers(error: VendettaError, jumps: bool, stage: str) -> None:
    assert find_stage(error, jumps=jumps) == stage


@pytest.mark.parametrize(
    ("stage", "error", "node", "mend"),
    [
        ("address", ConnectFailed("x"), NODE, "vendetta node edit gpu --address HOST"),
        ("route", LinkTimeout("x"), NODE, "ip route get gpu.lan; ping -c 3 gpu.lan"),
        ("route", ForwardingRefused("x"), BEHIND, "ssh -J me@b gpu.lan true"),
        ("port", ConnectFailed("x"), NODE, "sudo systemctl restart ssh || sudo systemctl restart sshd"),
        (
            "host-key",
            HostKeyChanged("x", offered={"type": "ssh-ed25519", "fingerprint": "SHA256:new"}),
            NODE,
            "vendetta node trust gpu --host-key SHA256:new",
        ),
        (
            "host-key",
            HostKeyUnknown("x", fingerprint="SHA256:new"),
            NODE,
            "vendetta node connect gpu --host-key SHA256:new",
        ),
        ("host-key", HostKeyChanged("revoked"), NODE, None),
        ("login", AuthFailed("x", methods=["publickey", "password"]), NODE, "vendetta key install gpu"),
        (
            "login",
            AuthFailed("x", methods=["publickey"]),
            NODE,
            f"mkdir -pm 700 ~/.ssh && echo '{KEY}' >> ~/.ssh/authorized_keys",
        ),
        ("login", InvalidInput("the key has a passphrase"), NODE, None),
        ("login", AuthFailed("refused", locked=["/a key"]), NODE, "vendetta key unlock '/a key'"),
    ],
)
def test_each_has_its_mend(stage: str, error: VendettaError, node: Node, mend: str | None) -> None:
    assert build_mend(stage, error, node, KEY) == mend


def test_without_a_key_one_has_to_be_made() -> None:
    assert build_mend("login", AuthFailed("x", methods=["publickey"]), NODE, None) == "vendetta key generate"
