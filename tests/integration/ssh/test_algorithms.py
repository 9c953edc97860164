"""What we offer to nodes, in the eyes of ssh-audit."""

import asyncio
import json
import sys

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.sshd import free_port

from vendetta.errors import LinkError
from vendetta.ssh.endpoint import Endpoint


async def test_ssh_audit_finds_nothing_to_fail(side: Side) -> None:
    """Its warnings are about the time when there are quantum computers: the algorithm for that is offered first."""
    port = free_port()
    argv = [sys.executable, "-m", "ssh_audit.ssh_audit", "--client-audit", "--json", "--port", str(port)]
    audit = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        auditor = Endpoint(node="auditor", host="127.0.0.1", port=port, user="me")
        said = asyncio.create_task(audit.communicate())
        while not said.done():  # until it listens, and then once
            with pytest.raises(LinkError):
                await side.connector().open(auditor, ACCEPT)
        report = json.loads((await said)[0])
    finally:
        if audit.returncode is None:
            audit.kill()
            await audit.wait()
    offered = [entry for part in ("kex", "key", "enc", "mac") for entry in report[part]]
    assert {"aes128-gcm@openssh.com", "ssh-ed25519", "rsa-sha2-512"} <= {entry["algorithm"] for entry in offered}
    assert [entry["algorithm"] for entry in offered if entry["notes"].get("fail")] == []
    warnings = {warning for entry in offered for warning in entry["notes"].get("warn", [])}
    assert warnings <= {"does not provide protection against post-quantum attacks"}
    assert not report["cves"]


async def test_a_host_with_no_other_than_an_ecdsa_key_is_reached(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    sshd.stop()
    sshd.new_host_key("ecdsa-sha2-nistp256")
    sshd.start()
    assert (await side.connector().host_key(endpoint(sshd))).type == "ecdsa-sha2-nistp256"
    await (await side.connector().open(endpoint(sshd), ACCEPT)).close()
    await (await side.connector().open(endpoint(sshd))).close()
