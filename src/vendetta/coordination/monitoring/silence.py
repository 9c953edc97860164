"""How long a node hasn't answered, and whether that makes it offline. Pure: times are given, by a clock nobody sets."""

FEWEST_FAILURES = 3
"""A node isn't offline before this many tries failed, however long they took."""


class Silence:
    """`failures` and `error` are of the tries since it answered last, at `heard`. `told`: it was said to be offline."""

    __slots__ = ("error", "failures", "heard", "told")

    def __init__(self, now: float) -> None:
        self.heard = now
        self.failures = 0
        self.error = ""
        self.told = False

    def answered(self, now: float) -> None:
        self.heard = now
        self.failures = 0
        self.told = False

    def failed(self, now: float, error: str) -> None:
        """A try failed. The silence begins with the first of them: before it nobody had asked."""
        if not self.failures:
            self.heard = now
        self.failures += 1
        self.error = error

    def unanswered(self, since: float, questions: int, error: str) -> None:
        """On a link that stands, so many questions have had no answer since a time."""
        self.heard = since
        self.failures = max(self.failures, questions)
        self.error = error

    def is_over(self, now: float, timeout_seconds: float) -> bool:
        """Whether it is offline by now."""
        return self.failures >= FEWEST_FAILURES and now - self.heard >= timeout_seconds
