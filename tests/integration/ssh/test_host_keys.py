"""Host keys that come, go and change at a real sshd: what is learnt, what is refused, and what mends it."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.connection import SSHServerConnection
from asyncssh.packet import String
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.installing import until
from tests.integration.ssh.sshd import Sshd

from vendetta.api.services import Services
from vendetta.coordination.requests import ExecRequest, NodeRequest
from vendetta.errors import ConnectFailed, HostKeyChanged, HostKeyUnknown, InvalidInput
from vendetta.models import Node
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login

OTHERS = ("ecdsa-sha2-nistp256", "ssh-rsa")


def pinned(side: Side, node: str = "n") -> set[str]:
    return {str(key.get_fingerprint()) for key in side.host_keys.known(node, "nowhere", 22).keys}


def fingerprints(*keys: asyncssh.SSHKey) -> set[str]:
    return {str(key.get_fingerprint()) for key in keys}


async def test_keys_that_appear_later_are_learnt_and_those_that_go_are_forgotten(
    make_sshd: MakeSshd, side: Side
) -> None:
    sshd = make_sshd()
    await (await side.connector().open(endpoint(sshd), ACCEPT)).close()
    assert pinned(side) == {sshd.fingerprint}

    sshd.stop()
    others = [sshd.add_host_key(algorithm) for algorithm in OTHERS]
    sshd.start()
    connection = await side.connector().open(endpoint(sshd))
    assert connection.host_key.fingerprint == sshd.fingerprint
    await until(lambda: pinned(side) == fingerprints(sshd.host_key, *others))
    await connection.close()

    sshd.stop()
    sshd.drop_first_host_key()
    sshd.start()
    connection = await side.connector().open(endpoint(sshd))
    assert connection.host_key.fingerprint in fingerprints(*others)
    await until(lambda: pinned(side) == fingerprints(*others))
    await connection.close()


async def test_all_keys_of_a_host_are_learnt_when_it_is_accepted(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    sshd.stop()
    others = [sshd.add_host_key(algorithm) for algorithm in OTHERS]
    sshd.start()
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    await until(lambda: pinned(side) == fingerprints(sshd.host_key, *others))
    await connection.close()
    assert side.pins_file.read_text().count("n ") == 3


async def has_been_told(connection: Connection) -> None:
    """Until the host has said which keys it has, and has proved them."""
    gate: Any = connection._ending
    await until(lambda: gate._update is not None)


async def test_nothing_is_learnt_from_a_host_that_the_users_file_vouches_for(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    sshd.stop()
    sshd.add_host_key(OTHERS[0])
    sshd.start()
    side.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key.export_public_key().decode()}")
    before = side.known_hosts.read_bytes()
    connection = await side.connector().open(endpoint(sshd))
    await has_been_told(connection)
    await connection.close()
    assert not side.pins_file.exists()
    assert side.known_hosts.read_bytes() == before


async def test_nothing_is_learnt_from_a_host_that_an_authority_vouches_for(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(HostCertificate="{directory}/host_key-cert.pub")
    sshd.stop()
    sshd.add_host_key(OTHERS[0])
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_host_certificate(sshd.host_key, "test", principals=["127.0.0.1"])
    certificate.write_certificate(sshd.directory / "host_key-cert.pub")
    sshd.start()
    side.known_hosts.write_text(f"@cert-authority * {authority.export_public_key().decode()}")
    connection = await side.connector().open(endpoint(sshd))
    await has_been_told(connection)
    await connection.close()
    assert not side.pins_file.exists()


LYING = "_process_hostkeys_prove_00_at_openssh_dot_com_global_request"


@asynccontextmanager
async def serving(*host_keys: asyncssh.SSHKey) -> AsyncIterator[Endpoint]:
    """A host of asyncssh's, which lets everybody in and says which keys it has."""

    class Open(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async with asyncssh.listen(
        "127.0.0.1", 0, server_factory=Open, server_host_keys=list(host_keys), send_server_host_keys=True
    ) as server:
        yield Endpoint(node="n", host="127.0.0.1", port=server.get_port(), user="me")


@pytest.mark.parametrize("answer", ["another's signature", "a refusal"])
async def test_a_key_that_a_host_offers_and_can_not_prove_is_ignored(
    side: Side, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    own, other, stolen = (asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", *OTHERS))

    def lie(self: SSHServerConnection, packet: Any) -> None:
        signatures = []
        while packet:
            data = packet.get_string()
            key = stolen if data == stolen.public_data else other
            signed = String("hostkeys-prove-00@openssh.com") + String(self._session_id) + String(data)
            # that of `stolen` would have to be its own
            signatures.append(String((other if key is stolen else key).sign(signed, other.sig_algorithms[0])))
        self._report_global_response(b"".join(signatures) if answer == "another's signature" else False)

    monkeypatch.setattr(SSHServerConnection, LYING, lie)
    side.host_keys.pin("n", own)
    async with serving(own, other, stolen) as host:
        connection = await side.connector().open(host)
        await has_been_told(connection)
        assert pinned(side) == (fingerprints(own, other) if answer == "another's signature" else fingerprints(own))
        await connection.close()


async def test_a_host_that_does_not_name_the_key_it_shows_is_not_believed(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = (asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", OTHERS[0]))
    send = SSHServerConnection._send_global_request

    def leave_out(self: SSHServerConnection, request: bytes, *keys: bytes, **options: Any) -> None:
        send(self, request, *(keys[1:] if request == b"hostkeys-00@openssh.com" else keys), **options)

    monkeypatch.setattr(SSHServerConnection, "_send_global_request", leave_out)
    side.host_keys.pin("n", own)
    async with serving(own, other) as host:
        connection = await side.connector().open(host)
        await has_been_told(connection)
        assert pinned(side) == fingerprints(own)
        await connection.close()


async def test_what_was_forgotten_meanwhile_is_not_learnt_again(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    side.host_keys.forget("n")
    side.host_keys.learn("n", sshd.host_key, [asyncssh.generate_private_key(OTHERS[0])], [])
    assert side.host_keys.pinned("n") is None
    await connection.close()


async def test_the_key_that_a_login_was_refused_for_is_the_one_to_trust(make_sshd: MakeSshd, side: Side) -> None:
    """Though the host has got others meanwhile, which an unknown host would show first."""
    sshd = make_sshd()
    sshd.stop()
    sshd.new_host_key(OTHERS[0])
    sshd.start()
    connector = side.connector()
    await (await connector.open(endpoint(sshd), ACCEPT)).close()
    before = sshd.fingerprint
    sshd.stop()
    new = sshd.new_host_key(OTHERS[0])
    sshd.add_host_key("ssh-ed25519")
    sshd.start()
    with pytest.raises(HostKeyChanged) as changed:
        await connector.open(endpoint(sshd))
    assert changed.value.details["expected"]["fingerprint"] == before
    assert changed.value.details["offered"]["fingerprint"] == new.get_fingerprint()
    with pytest.raises(HostKeyUnknown) as unknown:
        await connector.trust(endpoint(sshd), None)
    assert unknown.value.details["fingerprint"] == new.get_fingerprint()
    assert unknown.value.details["pinned"] == before
    trusted = await connector.trust(endpoint(sshd), str(unknown.value.details["fingerprint"]))
    assert trusted.fingerprint == new.get_fingerprint()
    await (await connector.open(endpoint(sshd))).close()


async def test_a_broken_line_of_ours_lets_nobody_in(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    await (await side.connector().open(endpoint(sshd), ACCEPT)).close()
    lines = side.pins_file.read_text()
    side.pins_file.write_text(f"# ours\n{lines.replace(' AAAA', ' AAA')}")
    with pytest.raises(InvalidInput, match="known_hosts, line 2:"):
        await side.connector().open(endpoint(sshd), ACCEPT)
    assert sshd.logins == 1


async def test_a_host_key_that_can_not_be_read(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spoiled:
        """A key of negative numbers."""

        algorithm = b"rsa-sha2-256"
        public_data = String("ssh-rsa") + String(b"") + String(b"\x80")

        def sign(self, data: bytes) -> bytes:
            return String("rsa-sha2-256") + String(b"\0" * 256)

    monkeypatch.setattr(SSHServerConnection, "get_server_host_key", lambda self: Spoiled())
    async with serving(asyncssh.generate_private_key("ssh-rsa")) as host:
        for attempt in (side.connector().open(host, ACCEPT), side.connector().host_key(host)):
            with pytest.raises(ConnectFailed, match="host key can't be read"):
                await attempt


class Authority:
    """Of hosts, with ssh-keygen; what it vouches for is shown by `sshd`."""

    def __init__(self, directory: Path, sshd: Sshd) -> None:
        self._path = directory / "authority"
        self._sshd = sshd
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._path], check=True)
        self.public_key = self._path.with_suffix(".pub").read_text().strip()

    def certify(self, *options: str) -> None:
        self._sshd.stop()
        public = self._sshd.directory / "host_key.pub"
        public.write_bytes(self._sshd.host_key.export_public_key())
        subprocess.run(["ssh-keygen", "-q", "-s", self._path, "-I", "host", *options, public], check=True)
        self._sshd.start()


@pytest.fixture
def certified(make_sshd: MakeSshd) -> Sshd:
    return make_sshd(HostCertificate="{directory}/host_key-cert.pub")


@pytest.mark.parametrize("names", ["*", "127.0.0.*", "[127.0.0.1]:{port}"])
async def test_a_host_certificate_of_ssh_keygen(tmp_path: Path, certified: Sshd, side: Side, names: str) -> None:
    authority = Authority(tmp_path, certified)
    authority.certify("-h", "-n", "gpu.lan,127.0.0.1", "-V", "-1h:+1h")
    side.known_hosts.write_text(f"@cert-authority {names.format(port=certified.port)} {authority.public_key}\n")
    await (await side.connector().open(endpoint(certified))).close()
    certified.stop()
    certified.new_host_key()  # another key is as good, with another certificate
    authority.certify("-h", "-n", "127.0.0.1")
    await (await side.connector().open(endpoint(certified))).close()
    assert not side.pins_file.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-h", "-n", "other.lan"], "principal"),
        (["-h", "-n", "127.0.0.1", "-V", "20200101:20200102"], "expired"),
        (["-h", "-n", "127.0.0.1", "-V", "20900101:20900102"], "not yet valid"),
        (["-n", "127.0.0.1"], "type"),
    ],
)
async def test_a_host_certificate_that_does_not_hold_leaves_its_key_to_a_yes(
    tmp_path: Path, certified: Sshd, side: Side, options: list[str], reason: str
) -> None:
    authority = Authority(tmp_path, certified)
    authority.certify(*options)
    side.known_hosts.write_text(f"@cert-authority * {authority.public_key}\n")
    with pytest.raises(HostKeyUnknown) as unknown:
        await side.connector().open(endpoint(certified))
    assert unknown.value.details["fingerprint"] == certified.fingerprint
    if options[0] == "-h":  # sshd itself leaves a user's certificate out
        assert "its certificate doesn't count" in unknown.value.message
        assert reason in unknown.value.message
    await (await side.connector().open(endpoint(certified), Login(host_key=certified.fingerprint))).close()


async def test_the_key_of_a_host_that_another_authority_vouches_for_counts_as_any(
    tmp_path: Path, certified: Sshd, side: Side
) -> None:
    Authority(tmp_path, certified).certify("-h", "-n", "127.0.0.1")
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    side.known_hosts.write_text(f"@cert-authority * {stranger}")
    with pytest.raises(HostKeyUnknown, match="its certificate doesn't count: host CA key is not trusted"):
        await side.connector().open(endpoint(certified))
    own = certified.host_key.export_public_key().decode()
    side.known_hosts.write_text(f"@cert-authority * {stranger}[127.0.0.1]:{certified.port} {own}")
    await (await side.connector().open(endpoint(certified))).close()


@pytest.mark.parametrize("revoked", ["the authority", "the key"])
async def test_a_certificate_saves_nobody_who_is_revoked(
    tmp_path: Path, certified: Sshd, side: Side, revoked: str
) -> None:
    authority = Authority(tmp_path, certified)
    authority.certify("-h", "-n", "127.0.0.1")
    own = certified.host_key.export_public_key().decode()
    key = authority.public_key if revoked == "the authority" else own
    side.known_hosts.write_text(f"@cert-authority * {authority.public_key}\n@revoked * {key}\n")
    with pytest.raises(HostKeyChanged, match=r"key is revoked .*; nothing was sent"):
        await side.connector().open(endpoint(certified), ACCEPT)
    assert certified.logins == 0


async def use(services: Services) -> None:
    async with services.node_processes.open("gpu", ExecRequest(argv=["true"])) as process:
        assert await process.wait() == 0


async def wait_for(services: Services, status: str) -> Node:
    async with asyncio.timeout(60):
        while (node := await services.nodes.get("gpu")).status != status:
            await asyncio.sleep(0.02)
    return node


async def test_a_host_key_that_changes_while_connected(make_sshd: MakeSshd, services: Services) -> None:
    """The standing connection goes on; the next login is refused before anything is sent; `trust` mends it."""
    sshd = make_sshd(LogLevel="DEBUG1")
    request = NodeRequest(name="gpu", address=f"root@127.0.0.1:{sshd.port}", identity=str(sshd.key))
    await services.node_adding.add(request, ACCEPT, actor="test")
    before = sshd.fingerprint
    await until(lambda: sshd.logins == 1)
    assert "userauth-request" in sshd.log
    async with services.node_processes.open("gpu", ExecRequest(argv=["cat"])) as process:
        sshd.new_host_key()
        sshd.restart_beside_its_sessions()
        logged = len(sshd.log)
        await process.write(b"still there\n")
        heard = b""
        while b"still there\n" not in heard:  # sshd's own log goes there too
            output = await process.read()
            assert output is not None
            heard += output.data
    await use(services)
    assert (await services.nodes.get("gpu")).status == "connected"
    assert "Connection from" not in sshd.log[logged:]

    sshd.kill_sessions()
    await wait_for(services, "error")
    with pytest.raises(HostKeyChanged) as changed:
        await use(services)
    assert changed.value.details["expected"]["fingerprint"] == before
    assert changed.value.details["offered"]["fingerprint"] == sshd.fingerprint
    assert f"vendetta node trust gpu --host-key {sshd.fingerprint}" in (changed.value.hint or "")
    refused = await wait_for(services, "error")
    assert before in (refused.reason or "")
    assert sshd.fingerprint in (refused.reason or "")
    await until(lambda: "Connection from" in sshd.log[logged:] and "[preauth]" in sshd.log[logged:])
    # neither who we are nor a key: not even the question which ways there are
    assert not re.search(
        r"userauth-request|authenticating user|invalid user|Failed|Accepted|Postponed", sshd.log[logged:]
    )

    for wrong in (None, before):
        with pytest.raises(HostKeyUnknown) as unknown:
            await services.host_key_trust.trust("gpu", wrong, "test")
        assert unknown.value.details["fingerprint"] == sshd.fingerprint
        assert (await services.nodes.get("gpu")).status == "error"
    trusted = await services.host_key_trust.trust("gpu", sshd.fingerprint, "test")
    assert (trusted.status, trusted.host_key and trusted.host_key.fingerprint) == ("connected", sshd.fingerprint)
    await use(services)
