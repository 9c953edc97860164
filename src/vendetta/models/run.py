"""How a command went on one node of several."""

from dataclasses import dataclass

from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """`exit_status` is set where it ran, `problem` where it could not. `truncated`: it wrote more than is kept."""

    node: str
    exit_status: int | None = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    problem: Problem | None = None

    @property
    def failure(self) -> str | None:
        """In a few words; None where all went well."""
        if self.problem:
            return self.problem.detail
        return f"exit status {self.exit_status}" if self.exit_status else None
