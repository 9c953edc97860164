"""Putting a key onto a real sshd: into the right file, once, without touching anything else, and only if it works."""

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import asyncssh
import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.installing import AWKWARD, foreign_key, installing, left_over, until
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import AuthFailed, InvalidInput, LinkError
from vendetta.ssh.authorized_keys import remote_edit as key_files
from vendetta.ssh.authorized_keys.lines import build_options

HOME_FILE = "{directory}/home/.ssh/authorized_keys"


@pytest.fixture
def home_sshd(make_sshd: MakeSshd) -> Sshd:
    """Its user's own file counts besides the one by which the test gets in."""
    return make_sshd(AuthorizedKeysFile="{directory}/authorized_keys " + HOME_FILE)


def home_file(sshd: Sshd) -> Path:
    return sshd.home / ".ssh" / "authorized_keys"


async def test_a_key_is_installed_once_and_verified(home_sshd: Sshd, side: Side) -> None:
    async with installing(side, endpoint(home_sshd)) as install:
        with pytest.raises(AuthFailed):
            await install.connector.verify_key(install.endpoint, install.key)
        for _ in range(2):
            await install()
        await install.connector.verify_key(install.endpoint, install.key)
    file = home_file(home_sshd)
    assert file.read_text() == f"{install.key.public_key}\n"
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert not left_over(file.parent)


async def test_two_at_once_put_it_there_once(home_sshd: Sshd, side: Side) -> None:
    others = [foreign_key(f"k{number}") for number in range(3)]
    async with installing(side, endpoint(home_sshd)) as install:
        await asyncio.gather(*(install() for _ in range(3)), *(install(other) for other in others))
    lines = home_file(home_sshd).read_text().splitlines()
    assert sorted(lines) == sorted([install.key.public_key, *others])
    assert not left_over(home_file(home_sshd).parent)


async def test_every_other_byte_mode_and_link_stays(home_sshd: Sshd, side: Side) -> None:
    home_file(home_sshd).parent.mkdir(mode=0o755)
    real = home_sshd.home / "keys"
    real.write_bytes(AWKWARD)
    real.chmod(0o640)
    home_file(home_sshd).symlink_to(real)
    odd = f"{foreign_key()} $(touch {home_sshd.home}/owned); `id` 'x' \"y\" \\ !z %s"
    async with installing(side, endpoint(home_sshd)) as install:
        await install()
        await install(odd)
    assert real.read_bytes() == AWKWARD + f"\n{install.key.public_key}\n{odd}\n".encode()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert home_file(home_sshd).is_symlink()
    assert stat.S_IMODE(home_file(home_sshd).parent.stat().st_mode) == 0o755
    assert sorted(os.listdir(home_sshd.home)) == [".ssh", "keys"]


async def test_root_keeps_the_owner_of_the_file(home_sshd: Sshd, side: Side) -> None:
    home_file(home_sshd).parent.mkdir()
    home_file(home_sshd).write_text("# theirs\n")
    os.chown(home_file(home_sshd), 4711, 4712)
    async with installing(side, endpoint(home_sshd)) as install:
        await install()
    status = home_file(home_sshd).stat()
    assert (status.st_uid, status.st_gid) == (4711, 4712)


@pytest.mark.parametrize("missing", [".ssh", "home"])
async def test_where_the_folder_or_the_home_is_missing(home_sshd: Sshd, side: Side, missing: str) -> None:
    if missing == "home":
        home_sshd.home.rmdir()
    async with installing(side, endpoint(home_sshd)) as install:
        await install()
    assert home_file(home_sshd).read_text() == f"{install.key.public_key}\n"


@pytest.mark.parametrize("missing", [".ssh", "home", None])
async def test_a_key_that_is_not_let_in_leaves_everything_as_it_was(
    make_sshd: MakeSshd, side: Side, missing: str | None
) -> None:
    # the file is written, and sshd takes no keys of that type
    sshd = make_sshd(
        AuthorizedKeysFile="{directory}/authorized_keys " + HOME_FILE, PubkeyAcceptedAlgorithms="ssh-ed25519"
    )
    if missing == "home":
        sshd.home.rmdir()
    if missing is None:
        home_file(sshd).parent.mkdir()
        home_file(sshd).write_bytes(AWKWARD)
        before = home_file(sshd).stat()
    async with installing(side, endpoint(sshd)) as install:
        key = side.keys().generate("ecdsa")
        with pytest.raises(AuthFailed, match=r"doesn't let root in with the key, though it is in .*/\.ssh") as refused:
            await install(key)
    assert "as before" in (refused.value.hint or "")
    if missing is None:
        after = home_file(sshd).stat()
        assert home_file(sshd).read_bytes() == AWKWARD
        assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
        assert not left_over(home_file(sshd).parent)
    else:
        assert not home_file(sshd).parent.exists()
        assert sshd.home.exists() is (missing == ".ssh")


async def test_a_link_lost_midway_leaves_everything_as_it_was(home_sshd: Sshd, side: Side) -> None:
    home_file(home_sshd).parent.mkdir()
    home_file(home_sshd).write_bytes(AWKWARD)
    async with installing(side, endpoint(home_sshd)) as install:
        file, *_ = await key_files.locate(install.connection)

        async def lose() -> None:
            async with key_files.edited(install.connection, file, lambda content: content + b"x\n"):
                assert home_file(home_sshd).read_bytes() == AWKWARD + b"x\n"
                home_sshd.kill_sessions()

        with pytest.raises(LinkError):
            await lose()
        await until(lambda: home_file(home_sshd).read_bytes() == AWKWARD)
        await until(lambda: not left_over(home_file(home_sshd).parent))


async def test_the_restricted_key_can_do_what_vendetta_needs_and_no_more(home_sshd: Sshd, side: Side) -> None:
    options = build_options(restrict=True, sources=["127.0.0.0/8", "fd00::/8"])
    async with installing(side, endpoint(home_sshd)) as install:
        await install()
        await install(options=options)
    line = f'restrict,port-forwarding,pty,from="127.0.0.0/8,fd00::/8" {install.key.public_key}\n'
    assert home_file(home_sshd).read_text() == line
    ssh = [
        *("ssh", "-F", "none", "-p", str(home_sshd.port), "-i", str(install.key.path), "-o", "IdentitiesOnly=yes"),
        *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={side.directory}/kh", "root@127.0.0.1"),
    ]
    agent = subprocess.run([*ssh, "-A", "echo agent=$SSH_AUTH_SOCK; tty"], capture_output=True, text=True)
    assert "agent=\n" in agent.stdout
    assert "not a tty" in agent.stdout
    assert "/dev/pts" in subprocess.run([*ssh, "-tt", "tty"], capture_output=True, text=True).stdout
    forward = subprocess.run([*ssh, "-W", f"127.0.0.1:{home_sshd.port}"], capture_output=True, stdin=subprocess.DEVNULL)
    assert forward.stdout.startswith(b"SSH-2.0-")


async def test_a_source_that_is_not_ours_is_found_out(home_sshd: Sshd, side: Side) -> None:
    async with installing(side, endpoint(home_sshd)) as install:
        with pytest.raises(AuthFailed) as refused:
            await install(options=build_options(restrict=False, sources=["192.0.2.0/24"]))
        assert "--from" in (refused.value.hint or "")
        assert not home_file(home_sshd).exists()
        # nobody can try another's key from there
        await install(foreign_key(), options=build_options(restrict=False, sources=["192.0.2.0/24"]))


async def test_the_key_of_somebody_else_is_verified_without_its_private_half(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(
        AuthorizedKeysFile="{directory}/authorized_keys " + HOME_FILE, PubkeyAcceptedAlgorithms="ssh-ed25519"
    )
    async with installing(side, endpoint(sshd)) as install:
        theirs = foreign_key()
        await install(theirs)
        ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
        with pytest.raises(AuthFailed):
            await install(ecdsa)
    assert home_file(sshd).read_text() == f"{theirs}\n"


@pytest.mark.parametrize(
    ("configured", "written"),
    [
        ("{directory}/authorized_keys {directory}/home/keys/%u", "home/keys/root"),
        ("{directory}/authorized_keys {directory}/home/100%%/%U", "home/100%/0"),
        ("{directory}/authorized_keys", "authorized_keys"),
    ],
)
async def test_the_file_that_sshd_reads_is_the_one(
    make_sshd: MakeSshd, side: Side, configured: str, written: str
) -> None:
    sshd = make_sshd(AuthorizedKeysFile=configured)
    async with installing(side, endpoint(sshd)) as install:
        await install()
    assert install.key.public_key in (sshd.directory / written).read_text()


async def test_includes_and_matches_of_the_configuration_count(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    parts = sshd.directory / "parts"
    parts.mkdir()
    (parts / "10.conf").write_text(
        "Match User nobody,!root\n  AuthorizedKeysFile /no\nMatch user root Address 127.0.0.0/8\n"
    )
    (parts / "20.conf").write_text(
        f'Match LocalPort {sshd.port}\n\tAuthorizedKeysFile="{sshd.directory}/authorized_keys" {sshd.home}/matched\n'
    )
    sshd.stop()
    sshd.options |= {"Include": f"{parts}/*.conf"}
    sshd.start()
    async with installing(side, endpoint(sshd)) as install:
        await install()
    assert (sshd.home / "matched").read_text() == f"{install.key.public_key}\n"


async def test_where_sshd_reads_no_file_at_all(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    config = sshd.directory / "sshd_config"
    config.write_text(
        config.read_text().replace(f"AuthorizedKeysFile {sshd.directory}/authorized_keys", "AuthorizedKeysFile none")
    )
    with pytest.raises(InvalidInput, match="AuthorizedKeysFile none"):
        await key_files.locate(connection)
    await connection.close()
