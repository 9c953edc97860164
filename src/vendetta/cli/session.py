"""One invocation: the global options as given, the client they lead to, and the notes and errors for people."""

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING

import click

from vendetta.errors import VendettaError

if TYPE_CHECKING:
    from vendetta.client import Client


class Session:
    """The global options, filled in while the line is parsed: they may come before and after the subcommand."""

    def __init__(self) -> None:
        self.server: str | None = os.environ.get("VENDETTA_SERVER") or None
        self.token: str | None = os.environ.get("VENDETTA_TOKEN") or None
        self.output = "table"
        self.quiet = False
        self.verbose = False
        self.no_color = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

    @cached_property
    def client(self) -> "Client":
        """Return the client of the named server, or of this user's own, started at its first request."""
        return self.connect(start=True)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    def connect(self, *, start: bool) -> "Client":
        from vendetta.client import Client  # help and usage errors need none

        if self.server:
            return Client.at(self.server, token=self.token)
        return Client.local(start=start, note=self.note)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked something."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def shows_progress(self) -> bool:
        return sys.stderr.isatty() and not self.quiet and self.output == "table"

    def colored(self, err: bool = False) -> bool:
        return not self.no_color and (sys.stderr if err else sys.stdout).isatty()

    def note(self, text: str) -> None:
        """Write a line for people to stderr, unless `--quiet`."""
        if not self.quiet:
            click.echo(text, err=True)

    def report(self, error: VendettaError, *, about: str | None = None) -> None:
        """Write an error to stderr: lines for people, the problem object with `-o json`."""
        if self.output == "json":
            from vendetta.models import Problem

            from .formats import to_json

            click.echo(to_json(Problem.from_error(error)), err=True)
            return
        color = self.colored(err=True)
        prefix = click.style("error:", fg="red", bold=True) if color else "error:"
        click.echo(f"{prefix} {f'{about}: ' if about else ''}{error.message}", err=True, color=color)
        if error.hint:
            label = click.style("hint:", bold=True) if color else "hint:"
            click.echo(f"{label} {error.hint}", err=True, color=color)
