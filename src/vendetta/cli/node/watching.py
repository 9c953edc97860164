"""`vendetta node status --watch`: a picture that stays up to date on a terminal, a line for each change elsewhere."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vendetta.cli.formats import format_clock, format_seconds
from vendetta.cli.output import colored_state, render_lines, write_json_line, write_text
from vendetta.cli.session import Session
from vendetta.models import Node

from .view import NODE, engines

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Sight:
    """What was last read of a node, and how many of its workspaces are in each state."""

    node: Node
    workspaces: Counter[str]

    @property
    def compared(self) -> tuple[object, ...]:
        """Return the fields whose change is worth a line: latency changes with each read."""
        node = self.node
        about = node.status, node.reason, node.cordoned, node.address, node.host_key, node.boot_id
        return *about, str(node.providers), str(node.labels), self.workspaces


def watch(session: Session, name: str) -> None:
    """Print a line for each change of a node. Ends only with an error, or with Ctrl-C."""
    sight = look(session, name)
    if session.output != "table" or not sys.stdout.isatty():
        write(session, sight)
        for _ in events_of(session, name):
            before, sight = sight, look(session, name)
            if before.compared != sight.compared:
                write(session, sight)
        return
    with picture(session) as show:
        show(sight)
        for _ in events_of(session, name):
            show(look(session, name))


def look(session: Session, name: str) -> Sight:
    node = session.client.nodes.get(name)
    return Sight(node, Counter(each.state for each in session.client.workspaces.list(node=name)))


def events_of(session: Session, name: str) -> Iterator[object]:
    """Those of the node, and of what is on it."""
    for event in session.client.events.watch():
        if event.subject == name or event.data.get("node") == name:
            yield event


def write(session: Session, sight: Sight) -> None:
    node = sight.node
    if session.output == "json":
        write_json_line({"node": node, "workspaces": sight.workspaces})
    elif session.output == "table":
        parts = [node.status, engines(node), format_workspaces(sight.workspaces), format_seconds(node.latency_seconds)]
        reasons = [node.reason, *(each.reason for each in node.providers.values() if each.state == "unhealthy")]
        why = "; ".join(reason for reason in reasons if reason)
        write_text(f"{format_clock(datetime.now(UTC))}  {'  '.join(parts)}{f'  ({why})' if why else ''}\n")
    else:
        write_text(f"{node.status}\n")
    sys.stdout.flush()


def format_workspaces(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no workspaces"


def build_text(sight: Sight) -> str:
    """As `node status` shows it, with its workspaces; times are those of now."""
    lines = list(NODE.lines(sight.node))
    place = next((number for number, (label, _) in enumerate(lines) if label == "Engines"), len(lines))
    states = ", ".join(f"{count} {colored_state(state)}" for state, count in sorted(sight.workspaces.items()))
    lines.insert(place, ("Workspaces", states or "none"))
    return render_lines(lines)


@contextmanager
def picture(session: Session) -> Iterator[Any]:
    """Drawn over itself, once a second for the times in it. What is yielded shows something else from now on."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    seen: list[Sight] = []

    def draw() -> "Text":
        return Text.from_ansi(build_text(seen[0])) if seen else Text()

    console = Console(no_color=session.no_color)
    with Live(get_renderable=draw, console=console, refresh_per_second=1, vertical_overflow="visible") as live:

        def show(sight: Sight) -> None:
            seen[:] = [sight]
            live.refresh()

        yield show
