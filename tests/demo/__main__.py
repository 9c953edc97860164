"""Adds three nodes, makes workspaces on them side by side, uses them, tidies up: every line is what you would type."""

import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from .sites import NoSite, Site, find_site

NAMES = ("red", "green", "blue")
WORKSPACES = 6


class Show:
    """Types commands at a `vendetta` with a home of its own, and prints both."""

    def __init__(self, home: str) -> None:
        self._environment = {**os.environ, "VENDETTA_HOME": home}
        self._vendetta = str(Path(sys.executable).with_name("vendetta"))

    def say(self, text: str) -> None:
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def type(self, *argv: str) -> None:
        print(f"$ vendetta {shlex.join(argv)}", flush=True)
        subprocess.run([self._vendetta, *argv], env=self._environment, check=True)

    def type_side_by_side(self, *commands: Sequence[str]) -> None:
        """Prints each output when all are done, in order."""
        with ThreadPoolExecutor(len(commands)) as typing:
            outputs = list(typing.map(self._collect, commands))
        for argv, output in zip(commands, outputs, strict=True):
            print(f"$ vendetta {shlex.join(argv)} &\n{output.rstrip()}", flush=True)

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        print(f"$ vendetta {shlex.join(argv)} &", flush=True)
        return subprocess.Popen([self._vendetta, *argv], env=self._environment, stdout=subprocess.PIPE, text=True)

    def finish(self) -> None:
        subprocess.run([self._vendetta, "server", "stop"], env=self._environment, check=False, capture_output=True)

    def _collect(self, argv: Sequence[str]) -> str:
        done = subprocess.run(
            [self._vendetta, *argv],
            env=self._environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"$ vendetta {shlex.join(argv)}\n{done.stdout}")
        return done.stdout


def main() -> None:
    started = time.monotonic()
    with ExitStack() as stack:
        try:
            site = stack.enter_context(find_site(len(NAMES)))
        except NoSite as exc:
            raise SystemExit(f"The demo can't run here: {exc}") from exc
        home = stack.enter_context(TemporaryDirectory(prefix="vdt-demo-", dir="/var/tmp"))
        show = Show(home)
        stack.callback(show.finish)
        run(show, site)
    print(f"\nDone in {time.monotonic() - started:.0f} s. Everything the demo made is gone again.")


def run(show: Show, site: Site) -> None:
    show.say(f"Three machines, reached by SSH and with nothing installed for us ({site.described}).")
    identity = ("--identity", str(site.key))
    show.type_side_by_side(
        *(
            ("node", "add", name, address, *identity, "--host-key", site.fingerprint(number), "--label", "zone=demo")
            for number, (name, address) in enumerate(zip(NAMES, site.addresses, strict=True))
        )
    )
    show.type("node", "list")

    show.say("Workspaces, side by side, placed where there is most room; then something is run in each.")
    names = [f"work-{number}" for number in range(1, WORKSPACES + 1)]
    create = ("--provider", "docker", "--image", site.image, "--label", "zone=demo", "--memory", "64M")
    show.type_side_by_side(*(("workspace", "create", name, *create) for name in names))
    for name in names:
        show.type("workspace", "exec", name, "--", "sh", "-c", 'echo "hello from $(hostname), $(nproc) CPUs"')
    show.type("workspace", "list")

    show.say("A web server inside, its port forwarded to here through the one SSH connection, and a page fetched.")
    serve = 'mkdir -p /www && echo "served from inside work-1" > /www/index.html && httpd -p 8000 -h /www'
    show.type("workspace", "exec", "work-1", "--", "sh", "-c", serve)
    forward = show.start("workspace", "forward", "work-1", "0:8000")
    try:
        assert forward.stdout is not None
        said = forward.stdout.readline().strip()
        print(said)
        port = said.split("127.0.0.1:")[1].split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            print(f"$ curl http://127.0.0.1:{port}/\n{page.read().decode().strip()}")
    finally:
        forward.terminate()
        forward.wait()

    show.say("What there is, for programs; what happened; and the end.")
    show.type("workspace", "status", "work-1")
    show.type("operation", "list")
    show.type("workspace", "remove", *names, "--force", "--yes")
    for name in NAMES:
        show.type("node", "remove", name, "--yes")
    show.type("server", "stop")


if __name__ == "__main__":
    main()
