"""Logging in: host keys at first sight and changed, keys, passwords, jumps."""

import re
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, endpoint_of
from tests.testbed import Node

from vendetta.errors import (
    AuthFailed,
    ConnectFailed,
    HostKeyChanged,
    HostKeyUnknown,
    LinkTimeout,
)
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector

pytestmark = pytest.mark.root


async def test_first_sight_needs_a_yes(docker_node: Node, connector: Connector, host_keys: HostKeys) -> None:
    endpoint = endpoint_of(docker_node)
    with pytest.raises(HostKeyUnknown) as caught:
        await connector.open(endpoint)
    assert caught.value.details["fingerprint"] == docker_node.host_key_fingerprint
    with pytest.raises(HostKeyUnknown, match="not SHA256:other"):
        await connector.open(endpoint, Login(host_key="SHA256:other"))
    assert host_keys.pinned("gpu") is None
    connection = await connector.open(endpoint, Login(host_key=docker_node.host_key_fingerprint))
    await connection.close()
    assert connection.host_key == host_keys.pinned("gpu") == await connector.host_key(endpoint)
    await (await connector.open(endpoint)).close()


async def test_the_users_own_known_hosts_counts(docker_node: Node, tmp_path: Path) -> None:
    (tmp_path / "user").write_text(f"{docker_node.address} {docker_node.public_key()}\n")
    connector = Connector(HostKeys(tmp_path / "pins", [tmp_path / "user"]), Keys(tmp_path / "a", tmp_path / "b"))
    await (await connector.open(endpoint_of(docker_node))).close()
    assert not (tmp_path / "pins").exists()


async def test_a_changed_key_is_refused_with_both_fingerprints(make_node: NodeFactory, connector: Connector) -> None:
    node = make_node()
    before = node.host_key_fingerprint
    await (await connector.open(endpoint_of(node), ACCEPT)).close()
    node.change_host_key()
    logins = node.logins()
    with pytest.raises(HostKeyChanged) as caught:
        await connector.open(endpoint_of(node), ACCEPT)
    assert caught.value.details["expected"]["fingerprint"] == before
    assert caught.value.details["offered"]["fingerprint"] == node.host_key_fingerprint
    assert node.logins() == logins


async def test_a_key_the_node_does_not_know(docker_node: Node, connector: Connector) -> None:
    with pytest.raises(AuthFailed) as caught:
        await connector.open(Endpoint(node="gpu", host=docker_node.address, user="dev"), ACCEPT)
    assert "publickey" in caught.value.details["methods"]
    assert "password" in caught.value.details["methods"]


async def test_a_password_lets_in_and_never_shows(docker_node: Node, connector: Connector) -> None:
    endpoint = Endpoint(node="gpu", host=docker_node.address, user="dev")
    await (await connector.open(endpoint, Login(password=docker_node.password, accept_new=True))).close()
    with pytest.raises(AuthFailed) as caught:
        await connector.open(endpoint, Login(password="not the word", accept_new=True))
    assert "not the word" not in f"{caught.value!r} {caught.value.details} {caught.value.hint}"


async def test_nobody_listens_nobody_answers_no_such_host(make_node: NodeFactory, connector: Connector) -> None:
    node = make_node()
    with pytest.raises(ConnectFailed, match="nothing listens"):
        await connector.open(Endpoint(node="gpu", host=node.address, port=9))
    with pytest.raises(ConnectFailed, match="there is no host"):
        await connector.open(Endpoint(node="gpu", host="nowhere.invalid"))
    node.cut()
    with pytest.raises((LinkTimeout, ConnectFailed)):
        await connector.open(endpoint_of(node))


async def test_through_other_machines(make_node: NodeFactory, connector: Connector, host_keys: HostKeys) -> None:
    """Each hop's host key must be known as well: there is no weakest link."""
    first, second, target = make_node(), make_node(), make_node()
    hops = tuple(f"dev@{node.address}" for node in (first, second))
    endpoint = Endpoint(node="gpu", host=target.address, user="dev", identity=str(target.key), jump=hops)
    with pytest.raises(HostKeyUnknown, match=re.escape(first.host_key_fingerprint)):
        await connector.open(endpoint)
    connection = await connector.open(endpoint, ACCEPT)
    assert (await connection.run(["hostname"])).stdout.decode().strip() == target.name
    assert [node.logins() for node in (first, second, target)] == [1, 1, 1]
    await connection.close()
    assert host_keys.pinned("gpu")
