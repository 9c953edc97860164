"""A problem: an error as it travels over HTTP (RFC 9457) and as an operation keeps it."""

from dataclasses import dataclass, field
from typing import Any

from vendetta.errors import VendettaError, by_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457). `code` is its kind, `detail` says what happened, and `hint` what to do about it.

    `status` is set in an HTTP answer.
    """

    type: str
    title: str
    status: int | None = None
    detail: str
    code: str
    hint: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_error(cls, error: VendettaError, *, status: int | None = None) -> "Problem":
        """Build the problem of an error, with the HTTP status if it is an answer."""
        return cls(
            type=f"urn:vendetta:problem:{error.code}",
            title=error.code.replace("_", " ").capitalize(),
            status=status,
            detail=error.message,
            code=error.code,
            hint=error.hint,
            details=error.details,
        )

    def to_error(self) -> VendettaError:
        """Return the error that it was made from, of the same class."""
        return by_code(self.code)(self.detail, hint=self.hint, **self.details)
