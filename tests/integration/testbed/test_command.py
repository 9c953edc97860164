"""The bed as a command, for trying things by hand."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.root


def test_nodes_are_there_until_they_are_interrupted() -> None:
    argv = [sys.executable, "-m", "tests.testbed", "up", "2", "--docker", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [line.split()[0] for line in lines] == ["node-1", "node-2", "Ctrl-C"]
    assert all("dev@10." in line for line in lines[:2])
