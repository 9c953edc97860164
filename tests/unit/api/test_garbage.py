"""How much one collection of garbage looks at: counted, and not timed."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import ref

import pytest

from vendetta.api import garbage
from vendetta.api.garbage import SetAside, short_pauses

MANY = 300_000


class Looks:
    """How many objects each full collection looks at."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            self.sizes.append(len(gc.get_objects()))

    @contextmanager
    def counted(self) -> Iterator[None]:
        gc.callbacks.append(self)
        try:
            yield
        finally:
            gc.callbacks.remove(self)


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_a_collection_looks_at_what_has_come_and_not_at_all_that_lives() -> None:
    looks = Looks()
    with short_pauses(), looks.counted():
        held = [[number] for number in range(MANY)]
    assert len(held) == MANY
    assert looks.sizes
    # a fourth more than was left makes Python look again, and what is younger is looked at too
    assert max(looks.sizes) < 2 * garbage.MOST_LOOKED_AT


def test_without_it_a_collection_looks_at_everything() -> None:
    looks = Looks()
    held = [[number] for number in range(MANY)]
    with looks.counted():
        gc.collect()
    assert max(looks.sizes) > len(held)


def test_garbage_that_was_set_aside_is_found_once_so_much_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    set_aside = SetAside(most=10_000, few=50_000)
    monkeypatch.setattr(garbage, "SetAside", lambda: set_aside)
    with short_pauses():
        before = gc.get_freeze_count()
        lost = ref(circle := Circle())
        held = [[number] for number in range(20_000)]
        gc.collect()
        del circle
        gc.collect()
        assert lost() is not None  # set aside with the others
        while lost() is not None and len(held) < 3 * before:
            held += [[number] for number in range(20_000)]
            gc.collect()
        assert lost() is None
    assert gc.get_freeze_count() == 0


def test_what_has_ended_meanwhile_is_not_counted_as_more(monkeypatch: pytest.MonkeyPatch) -> None:
    set_aside = SetAside(most=10_000, few=50_000)
    monkeypatch.setattr(garbage, "SetAside", lambda: set_aside)
    looks = Looks()
    with short_pauses(), looks.counted():
        everything = gc.get_freeze_count()
        for _ in range(2 * everything // 20_000):
            held = [[number] for number in range(20_000)]
            gc.collect()
            del held
    assert max(looks.sizes) < everything
