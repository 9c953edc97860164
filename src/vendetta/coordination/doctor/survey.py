"""What a node tells of itself when it is examined: one script, read as it is written.

So what hangs in it (a startup file, a disk, sudo) takes nothing from the rest.
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
tell() { echo "@@ $1 $2"; }
tell begin yes
tell clock "$(date +%s)"
tell shell "$SHELL"
if [ -w "$HOME" ]; then tell home "writable $HOME"; elif [ -d "$HOME" ]; then tell home "closed $HOME"
else tell home "absent $HOME"; fi
while read -r key value unit; do
    case $key in MemTotal: | MemAvailable:) tell "$key" "$value" ;; esac
done </proc/meminfo
if [ ! -e /dev/kvm ]; then tell kvm "absent $(grep -Eowm 1 'vmx|svm' /proc/cpuinfo | head -n 1)"
elif [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then tell kvm "denied $(stat -Lc %G /dev/kvm)"
elif (exec 3<>/dev/kvm) 2>/dev/null; then tell kvm usable
else tell kvm broken; fi
while read -r slot count protocol flags type state inode path; do
    case $flags$type$path in
    000100000001/*) if [ -S "$path" ] && [ -w "$path" ]; then tell socket "$path"; fi ;;
    esac
done </proc/net/unix
if [ -d /run/systemd/system ]; then
    if [ -e /lib/systemd/system/ssh.service ]; then tell reload "sudo systemctl reload ssh"
    else tell reload "sudo systemctl reload sshd"; fi
elif [ -x /sbin/openrc-run ]; then tell reload "sudo rc-service sshd reload"
elif [ -r /run/sshd.pid ]; then tell reload "sudo kill -HUP $(cat /run/sshd.pid)"
fi
for program in python3 socat; do
    if command -v "$program" >/dev/null; then tell carrier "$program"; fi
done
tell ready yes
df -Pk / /var/lib /tmp "$HOME" 2>/dev/null | while read -r device size used free percent mount; do
    tell disk "$free $size $mount"
done &
if [ "$(id -u)" = 0 ]; then tell sudo root
elif ! command -v sudo >/dev/null; then tell sudo absent
elif said=$(sudo -n true 2>&1); then tell sudo allowed
else tell sudo "refused $(echo "$said" | head -n 1)"; fi
wait
tell end yes
"""

FACT = re.compile(rb"@@ (\S+) (.*)\n")
NOISE_BYTES = 2000
"""So much of what others wrote is kept."""


@dataclass(slots=True)
class Survey:
    """What a node said of itself: `facts` from the script, `noise` what the login shell's files wrote before it began.

    `arrived_at` is when its clock was told, by ours. `exit_status` is None where it had to be given up.
    """

    facts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    noise: bytes = b""
    arrived_at: float = 0.0
    exit_status: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything was told but what may take its time; or nothing more will come."""

    @property
    def begun(self) -> bool:
        return "begin" in self.facts

    def one(self, key: str) -> str | None:
        """Return the value of a fact that is told once; None where it wasn't."""
        return self.facts[key][0] if key in self.facts else None

    def number(self, key: str) -> int | None:
        value = self.one(key)
        return int(value) if value is not None and value.isdigit() else None


async def take(connection: Connection, survey: Survey, seconds: float) -> None:
    """Fill `survey` with what comes within that time. Raises `LinkError`."""
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
    """Takes the script's output apart, in whatever pieces it comes."""

    def __init__(self, survey: Survey, clock: Callable[[], float] = time.time) -> None:
        self._survey = survey
        self._clock = clock
        self._pending = b""

    def feed(self, data: bytes) -> None:
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
            self._tell(*(group.decode(errors="replace") for group in fact.groups()))

    def _tell(self, key: str, value: str) -> None:
        if key == "clock":
            self._survey.arrived_at = self._clock()
        self._survey.facts[key].append(value)
        if key == "ready":
            self._survey.ready.set()

    def _note(self, noise: bytes) -> None:
        self._survey.noise = (self._survey.noise + noise)[:NOISE_BYTES]
