"""Say when a node whose link failed is tried again by itself: later after each failure, at most a minute apart.

Pure: clock and chance are given; durations are by a clock that is never set. A breaker never holds a request back: it
only paces the tries that no request needs.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from vendetta.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, VendettaError
from vendetta.models import Breaker as Snapshot
from vendetta.models import BreakerState

HOPELESS = (AuthFailed, HostKeyUnknown, HostKeyChanged)
"""Link errors that another try can't mend: somebody has to decide something first."""
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
PROVEN_SECONDS = 30.0
"""A link that ended sooner than this counts as one more failure, so that one that flaps isn't tried every second."""


def build_pause(failures: int, chance: float = 0.5) -> float:
    """Return the seconds until the next try after so many failures.

    `chance`, from 0 to 1, spreads those that failed together.
    """
    return min(FIRST_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_SECONDS) * (0.7 + 0.6 * chance)


class Breaker:
    """Say when a node whose link failed is tried again by itself.

    `closed`: nothing is wrong. `open`: the last try failed. `half_open`: a try is under way after that.
    """

    __slots__ = ("_chance", "_clock", "_closed_at", "_error", "_failures", "_next_try", "_shown", "_state")

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._state: BreakerState = "closed"
        self._failures = 0
        self._next_try: float | None = None
        self._shown: datetime | None = None
        self._error: str | None = None
        self._closed_at: float | None = None

    @property
    def state(self) -> BreakerState:
        return self._state

    @property
    def snapshot(self) -> Snapshot:
        """State, failures so far, time of the next try and last error, for people."""
        failures = 0 if self._state == "closed" else self._failures
        return Snapshot(state=self._state, failures=failures, next_try=self._shown, error=self._error)

    def trying(self) -> None:
        """Note that a login begins: an open breaker becomes half open."""
        if self._state == "open":
            self._state = "half_open"

    def gave_up(self) -> None:
        """Note that we ended the try ourselves, which says nothing of the node."""
        if self._state == "half_open":
            self._state = "open"

    def succeeded(self) -> None:
        """Note that a login succeeded, or that the link answers again."""
        self._state = "closed"
        self._closed_at = self._clock()
        self._next_try = self._shown = self._error = None

    def failed(self, error: VendettaError) -> None:
        """Note that a login failed or a link was lost. After an error of `HOPELESS` no next try is planned."""
        now = self._clock()
        if self._closed_at is not None and now - self._closed_at >= PROVEN_SECONDS:
            self._failures = 0
        self._closed_at = None
        self._state = "open"
        self._failures += 1
        self._error = error.message
        if isinstance(error, HOPELESS):
            self._next_try = self._shown = None
        else:
            pause = build_pause(self._failures, self._chance())
            self._next_try, self._shown = now + pause, datetime.now(UTC) + timedelta(seconds=pause)

    def wait_seconds(self) -> float | None:
        """Return the seconds until the next try; None if none is planned before somebody asks for one."""
        if self._next_try is None:
            return None
        return max(0.0, self._next_try - self._clock())
