"""When what failed is tried again, and how much later. Pure; the one rule for operations' steps and for other calls.

| what failed | tried again |
| --- | --- |
| the link, before anything was sent | for as long as the operation may take, later each time, at once when it is back |
| the link, after it was sent | the same where the step may run twice; else nobody knows what came of it |
| a call, over a link that stands | `RETRIES` times, later each time |
| an engine that doesn't answer, or is busy | the same |
| a link that somebody has to mend first (another host key, no login), anything else | never |

What is no operation's is tried again for the link's sake alone, and only as often as its caller says.
"""

from collections.abc import Callable

from vendetta.errors import Busy, EngineUnavailable, ForwardingRefused, LinkError, VendettaError
from vendetta.ssh.breaker import HOPELESS, build_pause

RETRIES = 2

Pause = Callable[[int], float]
"""Seconds before the next try, after so many that failed."""


def is_about_the_link(error: VendettaError) -> bool:
    """Return whether it goes away by itself once the node can be reached again."""
    if not isinstance(error, LinkError) or isinstance(error, (*HOPELESS, ForwardingRefused)):
        return False
    return bool(error.details.get("link_lost", True))


def was_sent(error: VendettaError) -> bool:
    """Return whether the node may have got what was asked of it; False only for what `Engines.call` marked so."""
    return bool(error.details.get("sent", True))


def pause_after(
    error: VendettaError, number: int, *, once: bool, retries: int, pause: Pause = build_pause
) -> float | None:
    """Return the seconds until the next try after `number` of them; None for no more. `once`: it must not run twice."""
    if once and (was_sent(error) or not isinstance(error, LinkError)):
        return None
    if is_about_the_link(error):
        return pause(number)
    passing = isinstance(error, EngineUnavailable | Busy) or (
        isinstance(error, LinkError) and not isinstance(error, (*HOPELESS, ForwardingRefused))
    )
    return pause(number) if passing and number <= retries else None


def is_unknown(error: VendettaError) -> bool:
    """Return whether it leaves open what became of what was asked for."""
    return isinstance(error, LinkError | EngineUnavailable) and was_sent(error) and not isinstance(error, HOPELESS)
