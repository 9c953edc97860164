"""What is said of a step that waits, came too late, was interrupted or was given up. Pure."""

from datetime import datetime

from vendetta.coordination.retry_rules import is_about_the_link
from vendetta.errors import Cancelled, DeadlineExceeded, OutcomeUnknown, VendettaError
from vendetta.models import Operation, Progress


def describe_wait(error: VendettaError) -> str:
    """Say what a step waits for after `error`: the node, or the next try."""
    if is_about_the_link(error):
        return f"waiting for node {error.details.get('node')}: {error.message}"
    return f"about to try again: {error.message}"


def build_waiting(error: VendettaError, deadline: datetime | None) -> Progress:
    """Build the progress that is shown while the next try is still to come."""
    until = f"; until {deadline:%H:%M} UTC" if deadline else ""
    node = error.details.get("node") if is_about_the_link(error) else None
    return Progress(message=f"{describe_wait(error)}{until}", waiting_for=node)


def build_late(operation: Operation, waited_for: str | None, left: str | None = None) -> DeadlineExceeded:
    """Build the error of an operation that wasn't done by its deadline. `left` is what could not be stopped then."""
    node = operation.progress.waiting_for if operation.progress else None
    doing = waited_for or (operation.progress.message if operation.progress else None)
    within = f" within {(operation.deadline - operation.created_at).total_seconds():g} s" if operation.deadline else ""
    known = {"operation": operation.id, "node": node, "left": left}
    parts = (f"{operation.kind} {operation.target}: not done{within}", doing and f"it was {doing}", left)
    return DeadlineExceeded(
        "; ".join(part for part in parts if part),
        hint=f"See what stands in the way: vendetta node doctor {node}" if node else None,
        **{name: value for name, value in known.items() if value is not None},
    )


def build_unknown(operation: Operation, step: str, cause: str, look: str | None) -> OutcomeUnknown:
    """Build the error of a step that must not run twice, and was interrupted after it may have begun.

    `look` is its hint; None: to look there before asking again.
    """
    return OutcomeUnknown(
        f"{operation.kind} {operation.target}: {cause} in step {step}, and what came of it is not known",
        hint=look or f"Look there before you ask again; what is known: vendetta operation show {operation.id}",
        operation=operation.id,
        step=step,
    )


def build_left(error: VendettaError, left: str | None) -> VendettaError:
    """Return the error of what was given up, with what it left behind; any other as it is: its words are about more."""
    if left is None or not isinstance(error, Cancelled | DeadlineExceeded | OutcomeUnknown):
        return error
    return type(error)(f"{error.message}; {left}", hint=error.hint, **{**error.details, "left": left})
