"""One command on many nodes at once: what each wrote as it ends, under its name, and what went wrong at the end."""

import sys
from collections.abc import Mapping, Sequence

import click

from vendetta.cli import exits
from vendetta.cli.formats import to_json
from vendetta.cli.session import Session
from vendetta.models import NodeRun


def run_on_many(session: Session, argv: Sequence[str], labels: Mapping[str, str], env: Mapping[str, str]) -> int:
    """Run a command on the nodes with the labels, and print each output as it ends. Return 1 if any failed."""
    nodes = session.client.nodes.list(labels=labels)
    if not nodes:
        session.note("no node has these labels" if labels else "there are no nodes yet")
        return exits.DONE
    width = max(len(node.name) for node in nodes)
    results = []
    for result in session.client.nodes.run(argv, labels=labels, env=env):
        results.append(result)
        if session.output == "table":
            _show(session, result, width)
    if session.output != "table":
        click.echo(to_json(sorted(results, key=lambda result: result.node)))
    failures = sorted(result.node for result in results if result.failure)
    if failures:
        session.note(f"{len(failures)} of {len(results)} failed: {', '.join(failures)}")
    return exits.FAILED if failures else exits.DONE


def _show(session: Session, result: NodeRun, width: int) -> None:
    name = f"{result.node:<{width}}"
    for text, stream in ((result.stdout, sys.stdout), (result.stderr, sys.stderr)):
        for line in text.splitlines():
            click.echo(f"{name} | {line}", file=stream)
    if result.truncated:
        click.echo(f"{name} | … it wrote more than is kept", err=True)
    if result.failure:
        mark = click.style("!", fg="red", bold=True) if session.colored(err=True) else "!"
        click.echo(f"{name} {mark} {result.failure}", err=True)
