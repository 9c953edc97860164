"""Which keys a real sshd is offered, in which order, and how many at once; passphrases, certificates, questions."""

import os
import subprocess
from pathlib import Path

import asyncssh
import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import AuthFailed
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import Keys
from vendetta.ssh.login import Connector


def count_refused(sshd: Sshd) -> int:
    return sshd.log.count("Failed publickey for ")


async def log_in(connector: Connector, endpoint: Endpoint) -> None:
    await (await connector.open(endpoint, ACCEPT)).close()


def fill(agent: Path, folder: Path, count: int) -> list[Path]:
    """Puts new keys into the agent, in this order, and returns their files."""
    paths = [folder / f"key{number}" for number in range(count)]
    for path in paths:
        key = asyncssh.generate_private_key("ssh-ed25519", comment=path.name)
        key.write_private_key(path)
        path.chmod(0o600)
        key.write_public_key(path.with_name(f"{path.name}.pub"))
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", *map(str, paths)], check=True, env=environment, capture_output=True)
    return paths


@pytest.mark.parametrize("most", [3, 6])
async def test_the_last_of_many_keys_is_found_and_comes_first_the_next_time(
    make_sshd: MakeSshd, side: Side, agent: Path, most: int
) -> None:
    sshd = make_sshd(MaxAuthTries=str(most), LogLevel="DEBUG1")
    paths = fill(agent, side.directory, 8)
    sshd.authorize(paths[-1].with_name("key7.pub").read_text())
    connector = side.connector(side.keys(agent=str(agent)))
    await log_in(connector, endpoint(sshd, identity=None))
    assert count_refused(sshd) == 7
    await log_in(connector, endpoint(sshd, identity=None))
    assert (count_refused(sshd), sshd.logins) == (7, 2)


async def test_the_search_ends(make_sshd: MakeSshd, side: Side, agent: Path) -> None:
    sshd = make_sshd(MaxAuthTries="2", LogLevel="DEBUG1")
    fill(agent, side.directory, 8)
    with pytest.raises(AuthFailed):
        await log_in(side.connector(side.keys(agent=str(agent))), endpoint(sshd, identity=None))
    assert count_refused(sshd) == 6


async def test_identities_only_leaves_the_agent_to_the_keys_that_are_named(
    make_sshd: MakeSshd, side: Side, agent: Path
) -> None:
    sshd = make_sshd(LogLevel="DEBUG1")
    paths = fill(agent, side.directory, 4)
    sshd.authorize(paths[3].with_name("key3.pub").read_text())
    for path in paths:
        path.unlink()  # the agent alone has them now, and what is left are the public ones
    connector = side.connector(side.keys(agent=str(agent)))
    host = f"Host gpu\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User root\n  IdentitiesOnly yes\n"
    gpu = Endpoint(node="n", host="gpu")
    side.ssh_config.write_text(f"{host}  IdentityFile {paths[0]}\n")
    with pytest.raises(AuthFailed):
        await log_in(connector, gpu)
    assert count_refused(sshd) == 1
    for named in (paths[3], f"{paths[3]}.pub"):
        side.ssh_config.write_text(f"{host}  IdentityFile {named}\n")
        await log_in(connector, gpu)
    assert count_refused(sshd) == 1
    side.ssh_config.write_text(f"{host.replace('IdentitiesOnly yes', 'IdentityAgent none')}")
    with pytest.raises(AuthFailed):
        await log_in(connector, gpu)


async def test_a_key_is_unlocked_once_for_every_login(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    path = side.ssh_dir / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", path], check=True)
    sshd.authorize(path.with_suffix(".pub").read_text())
    keys = side.keys()
    for node in (endpoint(sshd, identity=None), endpoint(sshd, identity=str(path))):
        with pytest.raises(AuthFailed) as refused:
            await log_in(side.connector(keys), node)
        assert refused.value.details["locked"] == [str(path)]
        assert f"vendetta key unlock {path}" in (refused.value.hint or "")
    await keys.unlock("open sesame", path)
    for node in (endpoint(sshd, identity=None), endpoint(sshd, identity=str(path))):
        await log_in(side.connector(keys), node)


@pytest.mark.parametrize("named", [False, True])
async def test_a_certificate_lets_in_where_the_key_alone_does_not(make_sshd: MakeSshd, side: Side, named: bool) -> None:
    sshd = make_sshd(TrustedUserCAKeys="{directory}/authorities", AuthorizedKeysFile="none")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    authority.write_public_key(sshd.directory / "authorities")
    with pytest.raises(AuthFailed):
        await log_in(side.connector(), endpoint(sshd))
    certificate = authority.generate_user_certificate(asyncssh.read_private_key(sshd.key), "me", principals=["root"])
    if named:
        certificate.write_certificate(side.directory / "elsewhere.pub")
        side.ssh_config.write_text(f"Host *\n  CertificateFile {side.directory}/elsewhere.pub\n")
    else:
        certificate.write_certificate(sshd.key.with_name(f"{sshd.key.name}-cert.pub"))
    await log_in(side.connector(), endpoint(sshd))
    assert "ED25519-CERT" in sshd.log


class Asking(asyncssh.SSHServer):
    """Logs in whoever answers its questions, one after the other."""

    def __init__(self, questions: dict[str, str], heard: list[str]) -> None:
        self._questions = list(questions.items())
        self._heard = heard

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [(self._questions[0][0], False)]

    def validate_kbdint_response(
        self, username: str, responses: list[str]
    ) -> bool | tuple[str, str, str, list[tuple[str, bool]]]:
        self._heard.extend(responses)
        (_, answer), *self._questions = self._questions
        if responses != [answer]:
            return False
        return ("", "", "", [(self._questions[0][0], False)]) if self._questions else True


@pytest.mark.parametrize(
    ("questions", "asked"),
    [({"Passwort für dev: ": "s3cret"}, None), ({"Password: ": "s3cret", "Code: ": "123"}, "Code")],
)
async def test_a_password_answers_one_question_in_any_language_and_no_other(
    side: Side, questions: dict[str, str], asked: str | None
) -> None:
    heard: list[str] = []
    server = await asyncssh.create_server(
        lambda: Asking(questions, heard),
        "127.0.0.1",
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
    )
    async with server:
        node = Endpoint(node="n", host="127.0.0.1", port=server.get_port(), user="dev")
        login = Login(accept_new=True, password="s3cret")
        if asked is None:
            await (await side.connector().open(node, login)).close()
        else:
            with pytest.raises(AuthFailed) as refused:
                await side.connector().open(node, login)
            assert f'"{asked}"' in (refused.value.hint or "")
            assert "s3cret" not in f"{refused.value} {refused.value.hint} {refused.value.details}"
    assert heard == ["s3cret"]


async def test_a_password_that_was_refused_is_not_sent_with_the_rest_of_the_keys(side: Side, agent: Path) -> None:
    heard: list[str] = []
    server = await asyncssh.create_server(
        lambda: Asking({"Password: ": "right"}, heard),
        "127.0.0.1",
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
    )
    fill(agent, side.directory, 8)
    async with server:
        node = Endpoint(node="n", host="127.0.0.1", port=server.get_port(), user="dev")
        with pytest.raises(AuthFailed):
            await side.connector(Keys(side.directory, side.ssh_dir, agent=str(agent))).open(
                node, Login(accept_new=True, password="wrong")
            )
    assert heard == ["wrong"]
