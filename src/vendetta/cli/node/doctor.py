"""`vendetta node doctor`, and its failed checks after `node add`."""

from collections.abc import Iterator, Sequence

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.formats import format_seconds
from vendetta.cli.output import View, colored_state, write_list, write_one, write_text
from vendetta.cli.session import Session
from vendetta.errors import VendettaError
from vendetta.models import Check, CheckState, DoctorReport

REPORT = View[DoctorReport](name=lambda report: report.node, columns={}, lines=lambda report: [])
CHECK = View[Check](
    name=lambda check: check.name,
    columns={
        "CHECK": lambda check: check.name,
        "STATE": lambda check: colored_state(check.state),
        "DETAIL": lambda check: check.detail,
    },
    lines=lambda check: [],
)


@command("doctor", examples="vendetta node doctor gpu\nvendetta node doctor gpu -o json")
@click.argument("name", shell_complete=complete.node_names)
@pass_session
def doctor(session: Session, name: str) -> int:
    """Examine everything that a node needs, and show how to mend what is wrong.

    Nothing is changed on the node. The exit status is 1 if a check failed. With `-o name`: the names of those that are
    not ok.
    """
    report = session.client.nodes.doctor(name)
    if session.output == "table":
        write_list(session, report.checks, CHECK)
        write_text("".join(f"{line}\n" for line in build_advice(report.checks)))
        session.note(summarize(report))
    elif session.output == "name":
        write_list(session, unwell(report.checks), CHECK)
    else:
        write_one(session, report, REPORT)
    return exits.FAILED if count(report.checks, "failure") else exits.DONE


def note_essentials(session: Session, name: str) -> None:
    """Show the checks of a new node that failed. The node is added in any case."""
    try:
        report = session.client.nodes.doctor(name, essential=True)
    except VendettaError as exc:
        session.report(exc, about=f"examine node {name}")
        return
    for check in unwell(report.checks):
        session.note(f"{check.state}: {check.name}: {check.detail}")
    for line in build_advice(report.checks):
        session.note(line)


def build_advice(checks: Sequence[Check]) -> Iterator[str]:
    """Return the commands that mend it, each on a line of its own, to be copied."""
    mends = build_mends(checks)
    if mends:
        yield "\nTo mend it (what isn't a vendetta command is for the node's own shell; then look again):"
    for mend, names in mends:
        yield f"  # {', '.join(names)}"
        yield f"  {mend}"


def build_mends(checks: Sequence[Check]) -> Sequence[tuple[str, list[str]]]:
    """Return each command once, with the names of the checks that it mends."""
    mends: dict[str, list[str]] = {}
    for check in unwell(checks):
        if check.mend:
            mends.setdefault(check.mend, []).append(check.name)
    return list(mends.items())


def summarize(report: DoctorReport) -> str:
    failures, warnings = count(report.checks, "failure"), count(report.checks, "warning")
    found = [_counted(number, word) for number, word in ((failures, "failure"), (warnings, "warning")) if number]
    took = f"examined in {format_seconds(report.seconds)}"
    return f"node {report.node}: {', '.join(found) or 'all is well'}, {took}"


def unwell(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.state in ("failure", "warning")]


def count(checks: Sequence[Check], state: CheckState) -> int:
    return sum(check.state == state for check in checks)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}"
