"""Judge from how long a node hasn't answered whether it is offline. Pure: the caller gives the times."""

FEWEST_FAILURES = 3
"""A node isn't offline before this many tries failed, however long they took."""


class Silence:
    """Count how long one node is silent. All times are seconds of the same clock.

    `failures` and `error` are of the tries since it answered last, at `heard`. `told`: it was reported offline.
    """

    __slots__ = ("error", "failures", "heard", "told")

    def __init__(self, now: float) -> None:
        self.heard = now
        self.failures = 0
        self.error = ""
        self.told = False

    def answered(self, now: float) -> None:
        """Note an answer: the silence is over."""
        self.heard = now
        self.failures = 0
        self.told = False

    def failed(self, now: float, error: str) -> None:
        """Note that a try failed. The silence begins with the first failure: before it the node wasn't asked."""
        if not self.failures:
            self.heard = now
        self.failures += 1
        self.error = error

    def unanswered(self, since: float, questions: int, error: str) -> None:
        """Note that so many questions, on a link that stands, have had no answer since the time `since`."""
        self.heard = since
        self.failures = max(self.failures, questions)
        self.error = error

    def is_over(self, now: float, timeout_seconds: float) -> bool:
        """Return whether the node is offline by now."""
        return self.failures >= FEWEST_FAILURES and now - self.heard >= timeout_seconds
