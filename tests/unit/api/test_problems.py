"""The table from error to status covers every error."""

from vendetta import errors
from vendetta.api.problems import STATUS, build_problem, status_of
from vendetta.errors import VendettaError


def every(kind: type[VendettaError]) -> list[type[VendettaError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in every(sub))]


def test_every_error_has_a_status_and_no_status_is_left_over() -> None:
    kinds = [kind for kind in every(VendettaError) if kind.__module__ == errors.__name__]
    assert all(400 <= status_of(kind("x")) <= 599 for kind in kinds)
    assert set(STATUS) <= set(kinds)


def test_a_class_without_a_line_has_that_of_its_parent() -> None:
    assert status_of(errors.NodeNotFound("x")) == 404
    assert status_of(errors.HostKeyChanged("x")) == 502


def test_a_problem_carries_what_the_error_said() -> None:
    problem = build_problem(errors.NameTaken("there is already a node gpu", hint="Choose another.", node="gpu"))
    assert (problem.status, problem.code, problem.detail) == (409, "name_taken", "there is already a node gpu")
    assert (problem.hint, problem.details) == ("Choose another.", {"node": "gpu"})
