"""When a node whose link failed is tried again by itself: later after each failure, at most a minute apart.

Pure: no clock and no chance but those given; durations are by a clock that nobody sets. A breaker never holds a
request back; it only paces what nobody asked for.
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
    """Seconds until the next try; `chance`, from 0 to 1, spreads those who failed together."""
    return min(FIRST_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_SECONDS) * (0.7 + 0.6 * chance)


class Breaker:
    """`closed`: nothing is wrong. `open`: the last try failed. `half_open`: after that, a try is under way."""

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
        failures = 0 if self._state == "closed" else self._failures
        return Snapshot(state=self._state, failures=failures, next_try=self._shown, error=self._error)

    def trying(self) -> None:
        if self._state == "open":
            self._state = "half_open"

    def gave_up(self) -> None:
        """The try was ended by us: it says nothing of the node."""
        if self._state == "half_open":
            self._state = "open"

    def succeeded(self) -> None:
        self._state = "closed"
        self._closed_at = self._clock()
        self._next_try = self._shown = self._error = None

    def failed(self, error: VendettaError) -> None:
        """A login failed, or a link was lost. After a hopeless error there is no next try of its own."""
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
        """How long the next try is still away; None: it waits for somebody to ask."""
        if self._next_try is None:
            return None
        return max(0.0, self._next_try - self._clock())
