"""The facts that one script reports of a node that is examined, each read as soon as it is written.

So where a part of it hangs (a startup file, a disk, sudo), the facts before that are there.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from vendetta.ssh.channel import Connection

# Nothing but what every Linux has. Each line is "@@ key value"; "ready" says that what comes at once has come.
SURVEY = r"""
report() { echo "@@ $1 $2"; }
report begin yes
report clock "$(date +%s)"
report shell "$SHELL"
if [ -w "$HOME" ]; then report home "writable $HOME"; elif [ -d "$HOME" ]; then report home "closed $HOME"
else report home "absent $HOME"; fi
while read -r key value unit; do
    case $key in MemTotal: | MemAvailable:) report "$key" "$value" ;; esac
done </proc/meminfo
if [ ! -e /dev/kvm ]; then report kvm "absent $(grep -Eowm 1 'vmx|svm' /proc/cpuinfo | head -n 1)"
elif [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then report kvm "denied $(stat -Lc %G /dev/kvm)"
elif (exec 3<>/dev/kvm) 2>/dev/null; then report kvm usable
else report kvm broken; fi
while read -r slot count protocol flags type state inode path; do
    case $flags$type$path in
    000100000001/*) if [ -S "$path" ] && [ -w "$path" ]; then report socket "$path"; fi ;;
    esac
done </proc/net/unix
if [ -d /run/systemd/system ]; then
    if [ -e /lib/systemd/system/ssh.service ]; then report reload "sudo systemctl reload ssh"
    else report reload "sudo systemctl reload sshd"; fi
elif [ -x /sbin/openrc-run ]; then report reload "sudo rc-service sshd reload"
elif [ -r /run/sshd.pid ]; then report reload "sudo kill -HUP $(cat /run/sshd.pid)"
fi
for program in python3 socat; do
    if command -v "$program" >/dev/null; then report carrier "$program"; fi
done
report ready yes
df -Pk / /var/lib /tmp "$HOME" 2>/dev/null | while read -r device size used free percent mount; do
    report disk "$free $size $mount"
done &
if [ "$(id -u)" = 0 ]; then report sudo root
elif ! command -v sudo >/dev/null; then report sudo absent
elif said=$(sudo -n true 2>&1); then report sudo allowed
else report sudo "refused $(echo "$said" | head -n 1)"; fi
wait
report end yes
"""

FACT = re.compile(rb"@@ (\S+) (.*)\n")
NOISE_BYTES = 2000
"""How much is kept of what was written before the script began."""


@dataclass(slots=True)
class Survey:
    """What a node said of itself: `facts` from the script, `noise` what the login shell's files wrote before it began.

    `arrived_at` is when the node's clock was read, in seconds since the epoch by the server's clock. `exit_status` is
    None where the script didn't end in time.
    """

    facts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    noise: bytes = b""
    arrived_at: float = 0.0
    exit_status: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all facts are there that take no time, or no more will come."""

    @property
    def begun(self) -> bool:
        return "begin" in self.facts

    def one(self, key: str) -> str | None:
        """Return the first value of a fact; None where it wasn't reported."""
        return self.facts[key][0] if key in self.facts else None

    def number(self, key: str) -> int | None:
        """Return the first value of a fact as a number; None where it is absent or no number."""
        value = self.one(key)
        return int(value) if value is not None and value.isdigit() else None


async def take(connection: Connection, survey: Survey, seconds: float) -> None:
    """Run the script, and fill `survey` with what comes within `seconds`. Raises `LinkError`."""
    reader = Reader(survey)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                process = await connection.open_process(["sh", "-c", SURVEY, "sh"])
                try:
                    await process.write_eof()
                    while (piece := await process.read()) is not None:
                        if piece.channel == "stdout":
                            reader.feed(piece.data)
                    reader.finish()
                    survey.exit_status = await process.wait()
                finally:
                    await process.close()
    finally:
        survey.ready.set()


class Reader:
    """Parse the script's output, in pieces of any size, into a survey. `clock` returns seconds since the epoch."""

    def __init__(self, survey: Survey, clock: Callable[[], float] = time.time) -> None:
        self._survey = survey
        self._clock = clock
        self._pending = b""

    def feed(self, data: bytes) -> None:
        """Take the next piece of the output."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(line + b"\n")
        if not self._survey.begun and len(self._pending) > NOISE_BYTES:
            self._note(self._pending)
            self._pending = b""

    def finish(self) -> None:
        """End the reading: where the script never began, what is left is noise."""
        if self._pending and not self._survey.begun:
            self._note(self._pending)

    def _take(self, line: bytes) -> None:
        # a startup file's last words may have no end of line
        before, at, rest = line.partition(b"@@ begin ")
        if at and not self._survey.begun:
            self._note(before)
            line = b"@@ begin " + rest
        elif not self._survey.begun:
            self._note(line)
            return
        if fact := FACT.fullmatch(line):
            self._add_fact(*(group.decode(errors="replace") for group in fact.groups()))

    def _add_fact(self, key: str, value: str) -> None:
        if key == "clock":
            self._survey.arrived_at = self._clock()
        self._survey.facts[key].append(value)
        if key == "ready":
            self._survey.ready.set()

    def _note(self, noise: bytes) -> None:
        self._survey.noise = (self._survey.noise + noise)[:NOISE_BYTES]
