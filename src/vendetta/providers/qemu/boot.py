"""Waiting for a guest to come up: by what qemu tells of it, and by its sshd's first words.

qemu tells that the guest's network card was set up, that its agent is there, that a port was opened which our seed has
it open once sshd listens. After each of these sshd is asked; where nothing is told, once a second.
"""

import asyncio
from contextlib import suppress

from vendetta.errors import ConnectFailed, EngineUnavailable, ProviderError, VendettaError
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Guest, Stream, Transport

from .argv import BOOTING
from .guest import LOOPBACK, NOT_YET, Guests
from .qmp import Qmp, open_qmp
from .scripts import VMS, Found, Scripts, parse_found

KVM_SECONDS, TCG_SECONDS = 120.0, 300.0
PAUSE_SECONDS = 1.0
TAIL_LINES = "15"


class Boot:
    """Of one VM. `key` is the private key to log in with."""

    def __init__(self, transport: Transport, scripts: Scripts, guests: Guests, found: Found, key: str) -> None:
        self._transport = transport
        self._scripts = scripts
        self._guests = guests
        self._found = found
        self._key = key
        self._told = asyncio.Event()
        self._listens = False
        self._reason = "its sshd has not answered"

    @property
    def _what(self) -> str:
        return f"start {self._found.record.name}"

    async def wait(self) -> Guest:
        """Return the login, once it is possible.

        Raises `ProviderError` with the end of its console where it isn't in time.
        """
        seconds = self._found.record.boot_seconds or (KVM_SECONDS if self._found.how == "kvm" else TCG_SECONDS)
        listening = asyncio.create_task(self._listen())
        logging_in = asyncio.create_task(self._log_in())
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait([listening, logging_in], return_when=asyncio.FIRST_COMPLETED)
                if listening.done() and not logging_in.done() and await self._has_ended(listening):
                    raise await self._fail("it ended while it booted")
                return await logging_in
        except TimeoutError as exc:
            raise await self._fail(f"it isn't ready after {seconds:g} s: {self._reason}") from exc
        finally:
            await cancel_and_wait(listening, logging_in)

    async def _has_ended(self, listening: "asyncio.Task[None]") -> bool:
        """Or else somebody else listens already, and no more than one can. Raises what ended the listening."""
        listening.result()
        record = self._found.record
        output = await self._scripts.run(self._what, VMS, "list", record.owner, record.name)
        return not any(found.alive for found in parse_found(output))

    async def _listen(self) -> None:
        """Read qemu's events until it ends."""
        with suppress(EngineUnavailable):
            async with open_qmp(self._transport, f"{self._found.folder}/{BOOTING}", self._what) as qmp:
                while event := await qmp.next_event():
                    if event.name == "NIC_RX_FILTER_CHANGED":
                        await self._listen_again(qmp)
                    elif event.name == "VSERPORT_CHANGE" and event.data.get("open"):
                        self._listens = self._listens or event.data.get("id") == "ready"
                    else:
                        continue
                    self._told.set()

    async def _listen_again(self, qmp: Qmp) -> None:
        """It isn't told a second time until somebody has looked."""
        with suppress(ProviderError):
            await qmp.execute("query-rx-filter", name="nic0")

    async def _log_in(self) -> Guest:
        while True:
            self._told.clear()
            if self._listens or await self._answers():
                try:
                    return await self._guests.log_in(self._found, self._key)
                except NOT_YET as exc:
                    # sshd may be up before cloud-init has given it the keys
                    self._reason = exc.message
                    self._listens = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), PAUSE_SECONDS)

    async def _answers(self) -> bool:
        """Whether sshd says anything before something new is told of the guest, or a while has passed."""
        try:
            stream = await self._transport.open_tcp(LOOPBACK, self._found.port)
        except ConnectFailed:
            return False
        reading = asyncio.create_task(self._read(stream))
        telling = asyncio.create_task(self._told.wait())
        try:
            await asyncio.wait([reading, telling], timeout=PAUSE_SECONDS * 3, return_when=asyncio.FIRST_COMPLETED)
            return reading.done() and reading.result()
        finally:
            await cancel_and_wait(reading, telling)
            await stream.close()

    async def _read(self, stream: Stream) -> bool:
        with suppress(ConnectFailed):
            return (await stream.read()).startswith(b"SSH-")
        return False

    async def _fail(self, reason: str) -> VendettaError:
        """Return the error, with the end of its console."""
        record = self._found.record
        said = await self._scripts.run(
            "read the console", VMS, "logs", record.owner, record.name, "no", TAIL_LINES, "0"
        )
        console = said.decode(errors="replace").strip() or "nothing was written to it"
        return ProviderError(
            f"start {record.name} on node {self._scripts.node}: {reason}", hint=f"The end of its console:\n{console}"
        )
