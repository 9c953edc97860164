"""Faults on our own side: the server has no file descriptor left."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.integration.ssh.sshd import Sshd

SCRIPT = Path(__file__).with_name("few_files.py")


async def test_out_of_file_descriptors_is_told_and_passes(sshd: Sshd, tmp_path: Path) -> None:
    argv = [str(SCRIPT), str(tmp_path), str(sshd.port), str(sshd.key)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"LOGNAME": "root", "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    story = json.loads(stdout)
    assert story["opened"] > 1
    assert story["errors"]
    for error in story["errors"]:
        assert error["code"] == "connect_failed"
        assert "too many files open" in error["message"]
        assert "max_connections" in error["hint"]
    # those that stood went on, and once there was room again so did new ones
    assert story["still"] == "still here\n"
    assert story["recovered"] == "back\n"
