"""What a failed try of a step means: whether it is worth another one, and when. Pure.

| what failed | tried again |
| --- | --- |
| the link, before anything was sent | for as long as the operation may take, later each time, at once when it is back |
| the link, after it was sent | the same where the step may run twice; else nobody knows what came of it |
| a call, over a link that stands | `RETRIES` times, later each time |
| an engine that doesn't answer, or is busy | the same |
| a link that somebody has to mend first (another host key, no login), anything else | never |
"""

from collections.abc import Callable
from datetime import datetime

from vendetta.errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    EngineUnavailable,
    ForwardingRefused,
    LinkError,
    OutcomeUnknown,
    VendettaError,
)
from vendetta.models import Operation, Progress
from vendetta.ssh.breaker import HOPELESS, build_pause

RETRIES = 2

Pause = Callable[[int], float]
"""Seconds before the next try, after so many that failed."""


def is_about_the_link(error: VendettaError) -> bool:
    """Whether it goes away by itself once the node can be reached again."""
    if not isinstance(error, LinkError) or isinstance(error, (*HOPELESS, ForwardingRefused)):
        return False
    return bool(error.details.get("link_lost", True))


def was_sent(error: VendettaError) -> bool:
    """Whether the node may have got what was asked of it. Only what `Engines.call` marks is known not to have been."""
    return bool(error.details.get("sent", True))


def pause_after(
    error: VendettaError, number: int, *, once: bool, retries: int, pause: Pause = build_pause
) -> float | None:
    """Seconds until the next try after `number` of them; None where there is none. `once`: it must not run twice."""
    if once and (was_sent(error) or not isinstance(error, LinkError)):
        return None
    if is_about_the_link(error):
        return pause(number)
    passing = isinstance(error, EngineUnavailable | Busy) or (
        isinstance(error, LinkError) and not isinstance(error, (*HOPELESS, ForwardingRefused))
    )
    return pause(number) if passing and number <= retries else None


def is_unknown(error: VendettaError) -> bool:
    """Whether it leaves open what became of what was asked for."""
    return isinstance(error, LinkError | EngineUnavailable) and was_sent(error) and not isinstance(error, HOPELESS)


def describe_wait(error: VendettaError) -> str:
    if is_about_the_link(error):
        return f"waiting for node {error.details.get('node')}: {error.message}"
    return f"about to try again: {error.message}"


def build_waiting(error: VendettaError, deadline: datetime | None) -> Progress:
    """What is shown while the next try is still to come."""
    until = f"; until {deadline:%H:%M} UTC" if deadline else ""
    node = error.details.get("node") if is_about_the_link(error) else None
    return Progress(message=f"{describe_wait(error)}{until}", waiting_for=node)


def build_late(operation: Operation, waited_for: str | None, left: str | None = None) -> DeadlineExceeded:
    """It wasn't done by its deadline. `left` is what could not be stopped then."""
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
    """A step that must not run twice was interrupted after it may have begun."""
    return OutcomeUnknown(
        f"{operation.kind} {operation.target}: {cause} in step {step}, and what came of it is not known",
        hint=look or f"Look there before you ask again; what is known: vendetta operation show {operation.id}",
        operation=operation.id,
        step=step,
    )


def build_left(error: VendettaError, left: str | None) -> VendettaError:
    """What was given up, saying what it left behind; any other error as it is: its own words are about more."""
    if left is None or not isinstance(error, Cancelled | DeadlineExceeded | OutcomeUnknown):
        return error
    return type(error)(f"{error.message}; {left}", hint=error.hint, **{**error.details, "left": left})
