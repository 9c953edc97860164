"""The README's tour, typed as it stands there: every command works, and answers as the page says."""

import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta

pytestmark = pytest.mark.root

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS, FINGERPRINT = "10.97.50.3", "SHA256:z+Ww2qPZuera14jYVzt2cFZ2Ihmz8RcVxo74/S+hMOY"
SAME = (
    (re.compile(r"SHA256:\S+"), "FINGERPRINT"),
    (re.compile(r"^System: .*|docker \d.*", re.MULTILINE), "VERSION"),
    # what else a test's node finds on this machine
    (re.compile(r"^ +(lxc|qemu) .*\n|(?<=docker) (lxc|qemu|kvm)\b.*", re.MULTILINE), ""),
    (re.compile(r"[\d.:-]*\d[smh]?|UTC|ms"), "N"),
    (re.compile(r"[ \t]+"), " "),
)


def typed() -> Iterator[tuple[str, str]]:
    """The commands of the page, each with what it answers there."""
    for block in re.findall(r"```\n(\$ .*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer.strip()


def alike(text: str) -> str:
    """Without what differs from one machine, and one moment, to the next."""
    for pattern, word in SAME:
        text = pattern.sub(word, text)
    return text.strip()


def test_the_tour_goes_as_the_page_says(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True)
    node.load_image("busybox")
    ssh = vendetta.home / "user" / ".ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(node.key, ssh / "id_ed25519")
    with ExitStack() as stack:
        for command, answer in typed():
            command = command.replace(ADDRESS, node.address).replace(FINGERPRINT, node.host_key_fingerprint)
            assert alike(answer_to(vendetta, command, stack)) == alike(answer), command
    run_python(vendetta)


def answer_to(vendetta: Vendetta, command: str, stack: ExitStack) -> str:
    if command.startswith("curl "):
        with urllib.request.urlopen(command.split()[1], timeout=30) as page:
            return str(page.read().decode())
    argv = shlex.split(command.removesuffix("&"))[1:]
    if command.endswith("&"):
        background = stack.enter_context(vendetta.running(*argv))
        assert background.stdout is not None
        return str(background.stdout.readline())
    done = subprocess.run(
        vendetta.argv(*argv),
        env=vendetta.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # as on a terminal
        text=True,
        timeout=90,
    )
    return done.stdout


def run_python(vendetta: Vendetta) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program], env=vendetta.env(), capture_output=True, text=True, timeout=90
    )
    assert (done.returncode, done.stdout) == (0, "succeeded red\n"), done.stderr
