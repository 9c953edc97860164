"""The cable between a node and its bed: plugged in, pulled out, or very long."""

import os
import signal
import sys
from pathlib import Path

from . import relay
from .commands import run
from .keeper_client import KeeperClient
from .readiness import Readiness


class Link:
    """`name` is the bed's end of the veth that node.sh makes on `bridge`; the names of all its devices begin so.

    A delayed link goes a longer way: veth, a bridge of its own, a tap, the relay, a tap, the bed's bridge.
    """

    def __init__(self, name: str, bridge: str, directory: Path, keeper: KeeperClient) -> None:
        self.name = name
        self._bridge = bridge
        self._detour = f"{name}d"
        self._taps = (f"{name}a", f"{name}b")
        self._directory = directory
        self._keeper = keeper
        self._relay: int | None = None

    def cut(self) -> None:
        run(["ip", "link", "set", self.name, "down"])

    def mend(self) -> None:
        run(["ip", "link", "set", self.name, "up"])

    def remove(self) -> None:
        """The node's end goes too."""
        self._straighten()
        run(["ip", "link", "del", self.name])

    def delay(self, milliseconds: float, loss: float = 0.0) -> None:
        """Every packet is so much later, each way, and `loss` of them (0 to 1) never arrive; 0 is the end of that."""
        self._straighten()
        if milliseconds or loss:
            self._lengthen(milliseconds, loss)

    def _lengthen(self, milliseconds: float, loss: float) -> None:
        run(["ip", "link", "add", self._detour, "type", "bridge"])
        run(["ip", "link", "set", self._detour, "up"])
        for tap, bridge in zip(self._taps, (self._detour, self._bridge), strict=True):
            run(["ip", "tuntap", "add", "mode", "tap", "name", tap])
            run(["ip", "link", "set", tap, "master", bridge, "up"])
        with Readiness(self._directory / "relay.ready") as ready:
            argv = [sys.executable, "-I", "-S", relay.__file__, *self._taps, str(milliseconds), str(loss)]
            self._relay = self._keeper.start([*argv, str(ready.path)], self._directory / "relay.log")
            if not ready.wait(self._relay):
                raise RuntimeError((self._directory / "relay.log").read_text())
        run(["ip", "link", "set", self.name, "master", self._detour])

    def _straighten(self) -> None:
        if self._relay is None:
            return
        run(["ip", "link", "set", self.name, "master", self._bridge])
        os.kill(self._relay, signal.SIGKILL)
        self._relay = None
        for device in (*self._taps, self._detour):
            run(["ip", "link", "del", device])
