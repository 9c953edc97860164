"""One text for every login shell: each of those that are here reads back what was quoted, to the byte."""

import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vendetta.ssh.quoting import quote_command

SHELLS = [shell for shell in ("sh", "bash", "busybox", "zsh", "fish", "csh", "tcsh") if shutil.which(shell)]
ECHO = [sys.executable, "-IS", "-c", "import os, sys; os.write(1, '\\0'.join(sys.argv[1:]).encode())"]
words = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.text("'\\!\n $`\"~*{}%#^=-[]?|&;<>()ab", max_size=12),
    max_size=4,
)


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return ["busybox", "sh"] if request.param == "busybox" else [request.param]


@given(words)
@example(["it's", "a!b", "!!", "\\!", "a\\\\b", "end\\", "'\\''", "a\nb\n", "", "~", "$HOME `id`", "x=y", "{a,b}"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_shell_reads_the_same(shell: list[str], words: list[str]) -> None:
    done = subprocess.run(
        [*shell, "-c", quote_command([*ECHO, *words])],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.decode() == "\0".join(words), done.stderr


def test_what_is_plain_stays_plain() -> None:
    assert quote_command([]) == ""
    assert quote_command(["docker", "ps", "--format={{json .}}", ""]) == "docker ps '--format={{json .}}' ''"
