"""Logging in to a real sshd: who it is, who we are, by which way, and what is said when it goes wrong."""

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import asyncssh
import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.sshd import Sshd, free_port

from vendetta.errors import AuthFailed, ConnectFailed, HostKeyChanged, HostKeyUnknown, InvalidInput, LinkTimeout
from vendetta.models import HostKey
from vendetta.ssh.algorithms import CIPHERS
from vendetta.ssh.endpoint import Endpoint, Login


def known_hosts_line(sshd: Sshd, name: str | None = None) -> str:
    return f"{name or f'[127.0.0.1]:{sshd.port}'} {sshd.host_key.export_public_key().decode()}"


async def test_first_sight_is_told_and_pinned_once_confirmed(sshd: Sshd, side: Side) -> None:
    connector = side.connector()
    with pytest.raises(HostKeyUnknown) as unknown:
        await connector.open(endpoint(sshd))
    assert unknown.value.details["type"] == "ssh-ed25519"
    assert unknown.value.details["fingerprint"] == sshd.fingerprint
    with pytest.raises(HostKeyUnknown, match="not SHA256:nonsense"):
        await connector.open(endpoint(sshd), Login(host_key="SHA256:nonsense"))
    connection = await connector.open(endpoint(sshd), Login(host_key=sshd.fingerprint))
    assert connection.host_key == HostKey(type="ssh-ed25519", fingerprint=sshd.fingerprint)
    await connection.close()
    assert side.host_keys.pinned("n") == connection.host_key == await connector.host_key(endpoint(sshd))
    assert stat.S_IMODE(side.pins_file.stat().st_mode) == 0o600
    await (await connector.open(endpoint(sshd))).close()


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_changed_key_is_refused_whatever_its_type(make_sshd: MakeSshd, side: Side, algorithm: str) -> None:
    sshd = make_sshd()
    await (await side.connector().open(endpoint(sshd), ACCEPT)).close()
    before = sshd.fingerprint
    sshd.stop()
    sshd.new_host_key(algorithm)
    sshd.start()
    for login in (ACCEPT, Login(host_key=sshd.fingerprint)):
        with pytest.raises(HostKeyChanged) as changed:
            await side.connector().open(endpoint(sshd), login)
        assert changed.value.details["expected"] == {"type": "ssh-ed25519", "fingerprint": before}
        assert changed.value.details["offered"]["fingerprint"] == sshd.fingerprint
        assert f"node trust n --host-key {sshd.fingerprint}" in (changed.value.hint or "")
    assert sshd.logins == 1


async def test_the_users_known_hosts_counts(sshd: Sshd, side: Side) -> None:
    side.known_hosts.write_text(known_hosts_line(sshd))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", side.known_hosts], check=True, capture_output=True)
    side.known_hosts.write_text(f"broken\n{side.known_hosts.read_text()}")
    await (await side.connector().open(endpoint(sshd))).close()
    assert not side.pins_file.exists()


async def test_a_key_of_another_port_says_nothing(make_sshd: MakeSshd, side: Side) -> None:
    one, other = make_sshd(), make_sshd()
    side.known_hosts.write_text(known_hosts_line(one, "127.0.0.1"))
    await (await side.connector().open(endpoint(one))).close()
    with pytest.raises(HostKeyUnknown):
        await side.connector().open(endpoint(other, "o"))


async def test_a_fingerprint_confirmed_by_hand_replaces_what_the_users_file_says(sshd: Sshd, side: Side) -> None:
    old = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    side.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {old}")
    with pytest.raises(HostKeyChanged):
        await side.connector().open(endpoint(sshd), ACCEPT)
    await (await side.connector().open(endpoint(sshd), Login(host_key=sshd.fingerprint))).close()
    await (await side.connector().open(endpoint(sshd))).close()


async def test_a_revoked_key_is_refused_though_known(sshd: Sshd, side: Side) -> None:
    side.known_hosts.write_text(known_hosts_line(sshd) + "@revoked * " + known_hosts_line(sshd).split(" ", 1)[1])
    with pytest.raises(HostKeyChanged, match="revoked"):
        await side.connector().open(endpoint(sshd), ACCEPT)


async def test_a_host_certificate_of_a_trusted_authority(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(HostCertificate="{directory}/host_key-cert.pub")
    sshd.stop()
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_host_certificate(sshd.host_key, "test", principals=["127.0.0.1"])
    certificate.write_certificate(sshd.directory / "host_key-cert.pub")
    sshd.start()
    side.known_hosts.write_text(f"@cert-authority * {authority.export_public_key().decode()}")
    await (await side.connector().open(endpoint(sshd))).close()


async def test_the_fastest_cipher_is_used(sshd: Sshd, side: Side) -> None:
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    assert connection._connection.get_extra_info("send_cipher") == CIPHERS[0]
    await connection.close()


async def test_a_refused_login_says_what_would_be_taken(sshd: Sshd, side: Side) -> None:
    side.ssh_dir.joinpath("id_rsa").write_text("x")
    side.ssh_dir.joinpath("id_rsa").chmod(0o644)
    side.keys().generate()
    with pytest.raises(AuthFailed) as refused:
        await side.connector().open(endpoint(sshd, identity=None), ACCEPT)
    assert refused.value.details["methods"] == ["publickey"]
    assert "chmod 600" in (refused.value.hint or "")


async def test_never_so_many_keys_that_sshd_hangs_up(sshd: Sshd, side: Side, agent: Path) -> None:
    for number in range(8):
        add_to_agent(agent, side.directory / f"key{number}")
    with pytest.raises(AuthFailed) as refused:
        await side.connector(side.keys(agent=str(agent))).open(endpoint(sshd, identity=None), ACCEPT)
    assert refused.value.details["methods"] == ["publickey"]
    await (await side.connector(side.keys(agent=str(agent))).open(endpoint(sshd), ACCEPT)).close()


async def test_a_key_of_the_agent_and_an_encrypted_one_that_it_has_unlocked(
    sshd: Sshd, side: Side, agent: Path
) -> None:
    path = side.ssh_dir / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-C", "me", "-f", path], check=True)
    sshd.authorize(path.with_suffix(".pub").read_text())
    keys = side.keys(agent=str(agent))
    with pytest.raises(AuthFailed, match="refused") as refused:
        await side.connector(keys).open(endpoint(sshd, identity=None), ACCEPT)
    assert f"ssh-add {path}" in (refused.value.hint or "")
    with pytest.raises(AuthFailed, match="refused"):
        await side.connector(keys).open(endpoint(sshd, identity=str(path)), ACCEPT)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", path], check=True, capture_output=True)
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", str(path)], check=True, env=environment, capture_output=True)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", path], check=True, capture_output=True)
    found = await keys.detect()
    assert [(key.source, key.encrypted, key.comment) for key in found] == [("agent", False, "me"), ("file", True, "me")]
    await (await side.connector(keys).open(endpoint(sshd, identity=str(path)), ACCEPT)).close()
    await (await side.connector(keys).open(endpoint(sshd, identity=None), ACCEPT)).close()


async def test_names_of_ssh_config(make_sshd: MakeSshd, side: Side) -> None:
    bastion, node = make_sshd(), make_sshd()
    side.ssh_config.write_text(
        f"Host gpu\n  HostName 127.0.0.1\n  Port {node.port}\n  User root\n  IdentityFile {node.key}\n"
        "  ProxyJump door\n"
        f"Host door\n  HostName localhost\n  Port {bastion.port}\n  User root\n  IdentityFile {bastion.key}\n"
    )
    gpu = Endpoint(node="n", host="gpu")
    with pytest.raises(HostKeyUnknown, match=f"localhost:{bastion.port}, on the way to node n"):
        await side.connector().open(gpu)
    connection = await side.connector().open(gpu, ACCEPT)
    assert (await connection.run(["true"])).exit_status == 0
    assert (bastion.logins, node.logins) == (1, 1)
    assert side.host_keys.pinned(f"[localhost]:{bastion.port}")
    await connection.close()
    side.ssh_config.write_text("Host gpu\n  ProxyJump door\nHost door\n  ProxyJump gpu\n")
    with pytest.raises(InvalidInput, match="circle"):
        await side.connector().open(gpu)
    side.ssh_config.write_text("Host gpu\n  Port many\n")
    with pytest.raises(InvalidInput, match="ssh config"):
        await side.connector().open(gpu)


async def test_a_bastion_that_leads_nowhere(make_sshd: MakeSshd, side: Side) -> None:
    bastion = make_sshd()
    bastion.key.rename(side.ssh_dir / "id_ed25519")
    jump = (f"root@127.0.0.1:{bastion.port}",)
    nowhere = Endpoint(node="n", host="127.0.0.1", port=free_port(), user="root", jump=jump)
    with pytest.raises(ConnectFailed, match="can't be reached from the host before it"):
        await side.connector().open(nowhere, ACCEPT)


async def test_nobody_listens_and_no_such_host(side: Side) -> None:
    with pytest.raises(ConnectFailed, match="nothing listens on that port"):
        await side.connector().open(Endpoint(node="n", host="127.0.0.1", port=free_port()))
    with pytest.raises(ConnectFailed, match=r"there is no host nowhere\.invalid"):
        await side.connector().open(Endpoint(node="n", host="nowhere.invalid"))


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2000, b"\x00" * 100_000])
async def test_what_is_no_ssh_server(side: Side, said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed) as failed:
            await side.connector().open(Endpoint(node="n", host="127.0.0.1", port=port))
    assert failed.value.hint


async def test_one_that_never_speaks(side: Side) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        silent = Endpoint(node="n", host="127.0.0.1", port=port)
        connector = side.connector(connection_timeout_seconds=0.5)
        with pytest.raises(LinkTimeout, match="no answer in time"):
            await connector.open(silent)
        with pytest.raises(LinkTimeout):
            await connector.host_key(silent)


def add_to_agent(agent: Path, path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519", comment=path.name).write_private_key(path)
    path.chmod(0o600)
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", str(path)], check=True, env=environment, capture_output=True)
