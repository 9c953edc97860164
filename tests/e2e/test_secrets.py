"""Passwords and passphrases: used, and then nowhere to be found."""

import subprocess
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta

pytestmark = pytest.mark.root


def find_secret(home: Path, secret: str) -> list[str]:
    """The files of that user that hold it: state, logs, keys; and the processes that have it as an argument."""
    files = [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    running = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if secret.encode() in path.read_bytes():
                running.append(path)
        except OSError:  # it has ended
            continue
    return [str(path) for path in (*files, *running)]


def test_a_password_is_in_no_file_and_no_argument(vendetta: Vendetta, make_node: NodeFactory) -> None:
    vendetta.environment["VENDETTA_LOG_LEVEL"] = "debug"
    node = make_node(password="c0rrect-h0rse")
    options = ("--accept-new", "--password-stdin", "--install-key")
    argv = ("node", "add", "a", f"{node.user}@{node.address}", *options)
    wrong = "wr0ng-0f-a-kind"
    refused = vendetta(*argv, input=f"{wrong}\n", status=6)
    assert wrong not in refused.stdout + refused.stderr
    with vendetta.running(*argv) as process:
        assert process.stdin is not None
        process.stdin.write(f"{node.password}\n")
        process.stdin.flush()
        while process.poll() is None:
            assert find_secret(vendetta.home, node.password) == []
    assert vendetta.json("node", "status", "a")["status"] == "connected"
    assert find_secret(vendetta.home, node.password) == []
    assert find_secret(vendetta.home, wrong) == []


def test_a_passphrase_unlocks_until_the_server_ends_and_is_in_no_file(
    vendetta: Vendetta, make_node: NodeFactory
) -> None:
    vendetta.environment["VENDETTA_LOG_LEVEL"] = "debug"
    node = make_node()
    key = vendetta.home / "user/.ssh/id_ed25519"
    key.parent.mkdir(mode=0o700)
    passphrase = "0pen-sesame-please"
    key.write_bytes(node.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", passphrase, "-f", key], check=True, capture_output=True)
    add = ("node", "add", "a", f"{node.user}@{node.address}", "--accept-new")
    assert f"vendetta key unlock {key}" in vendetta(*add, status=6).stderr
    wrong = vendetta("key", "unlock", str(key), "--passphrase-fd", "0", input="wr0ng-0f-a-kind\n", status=2)
    assert "doesn't unlock" in wrong.stderr
    shown = vendetta("key", "unlock", str(key), "--passphrase-fd", "0", input=f"{passphrase}\n").stdout
    assert "encrypted, unlocked" in shown
    vendetta(*add)
    assert find_secret(vendetta.home, passphrase) == []
    assert find_secret(vendetta.home, "wr0ng-0f-a-kind") == []
    vendetta.kill_server()
    assert [found["unlocked"] for found in vendetta.json("key", "list") if found["path"] == str(key)] == [False]
