"""Passes Ethernet frames between two tap devices, late by so much, and loses some. A process of its own.

Run by the keeper as `python -I -S relay.py TAP TAP MILLISECONDS LOSS READY`, LOSS from 0 to 1; says `READY=1` to the
socket READY when it relays. The kernel's own netem does this too, but many small kernels (of virtual machines, of
containers' hosts) come without it, and a link that can't be slowed leaves the tests for slow links unrun.
"""

import fcntl
import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
FRAME_BYTES = 65536
QUEUE_FRAMES = 10_000


def main() -> None:
    first, second, milliseconds, loss, ready = sys.argv[1:]
    ends = (open_tap(first), open_tap(second))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as owner:
        owner.sendto(b"READY=1", ready)
    relay(ends, float(milliseconds) / 1000, float(loss))


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def relay(ends: tuple[int, int], seconds: float, loss: float) -> None:
    """All frames are late by the same time, so that one queue, in order of arrival, holds them all."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    chance = random.Random(0)  # the same frames each time
    waiting: deque[tuple[float, int, bytes]] = deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(ends, [], [], timeout)
        now = time.monotonic()
        for end in readable:
            frame = os.read(end, FRAME_BYTES)
            if len(waiting) < QUEUE_FRAMES and chance.random() >= loss:
                waiting.append((now + seconds, other[end], frame))
        while waiting and waiting[0][0] <= now:
            _, end, frame = waiting.popleft()
            try:
                os.write(end, frame)
            except OSError:  # the device is down or its queue is full: a network may lose what it can't carry
                continue


if __name__ == "__main__":
    main()
