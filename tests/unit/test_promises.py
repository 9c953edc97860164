"""docs/reliability.md names tests that exist, and the part of the suite that each promise is held in."""

from tests.suite.promises import NOWHERE, PAGE, ROOT, collect, part_of, promises

PROMISES = list(promises(PAGE.read_text()))


def test_what_holds_a_promise_exists() -> None:
    assert len(PROMISES) > 50
    assert [promise.text for promise in PROMISES if not promise.held_by] == []
    assert [path for promise in PROMISES for path in promise.held_by if not (ROOT / path).exists()] == []


def test_every_promise_is_held_in_the_part_that_is_named() -> None:
    """Write it anew with: .venv/bin/python -m tests.suite.promises"""
    parts = collect(sorted({path for promise in PROMISES for path in promise.held_by}))
    said = {promise.text: promise.part for promise in PROMISES}
    assert said == {promise.text: part_of(promise, parts) for promise in PROMISES}
    assert NOWHERE not in said.values()
