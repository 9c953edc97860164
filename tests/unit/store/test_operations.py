import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.store.samples import LONG_AGO, make_operation

from vendetta.errors import InvalidInput, OperationNotFound
from vendetta.models import Problem, Progress
from vendetta.store import Store


async def test_what_is_added_is_got_back_but_for_its_progress(store: Store) -> None:
    operation = make_operation("one", progress=Progress(message="pulling"))
    assert await store.operations.add(operation, {"force": True}, None) == (operation, True)
    assert await store.operations.get("one") == make_operation("one")
    assert await store.operations.input("one") == {"force": True}


async def test_the_same_key_records_nothing_new(store: Store) -> None:
    await store.operations.add(make_operation("one"), {}, "key")
    assert await store.operations.add(make_operation("two"), {}, "key") == (make_operation("one"), False)
    assert await store.operations.by_key("key") == make_operation("one")
    assert await store.operations.by_key("other") is None


async def test_results_and_problems_are_kept(store: Store) -> None:
    await store.operations.add(make_operation("one"), {}, None)
    problem = Problem(type="urn:x", title="Busy", detail="it is busy", code="busy", details={"by": ["a"]})
    updated = await store.operations.update("one", state="failed", error=problem, result={"name": "web"})
    assert (updated.error, updated.result) == (problem, {"name": "web"})
    assert await store.operations.get("one") == updated


async def test_that_somebody_wants_it_cancelled_is_kept(store: Store) -> None:
    await store.operations.add(make_operation("one"), {}, None)
    assert not await store.operations.cancelling("one")
    await store.operations.update("one", cancelling=True)
    assert await store.operations.cancelling("one")


async def test_an_unknown_id_is_told(store: Store) -> None:
    operations: Any = store.operations
    for call in (operations.get, operations.input, operations.update, operations.cancelling):
        with pytest.raises(OperationNotFound):
            await call("none")


async def test_the_unfinished_come_in_the_order_of_asking(store: Store) -> None:
    for name, state in [("b", "pending"), ("a", "running"), ("c", "succeeded"), ("d", "pending")]:
        await store.operations.add(make_operation(name, state=state), {}, None)
    assert [operation.id for operation in await store.operations.unfinished()] == ["b", "a", "d"]


async def test_lists_begin_with_the_newest(store: Store) -> None:
    for name in "abcde":
        await store.operations.add(make_operation(name, target=f"on-{name}", kind=f"kind.{name}"), {}, None)
    first = await store.operations.list(limit=3)
    rest = await store.operations.list(limit=3, cursor=first.next_cursor)
    assert [operation.id for page in (first, rest) for operation in page.items] == ["e", "d", "c", "b", "a"]
    assert rest.next_cursor is None
    assert [operation.id for operation in (await store.operations.list(target="on-b")).items] == ["b"]
    assert [operation.id for operation in (await store.operations.list(kind="kind.c", state="pending")).items] == ["c"]
    for cursor in ("abc", "-1", "9" * 30):
        with pytest.raises(InvalidInput, match="cursor"):
            await store.operations.list(cursor=cursor)


async def test_pruning_keeps_the_unfinished_and_the_newest(store: Store) -> None:
    for number in range(6):
        state, finished_at = ("pending", None) if number == 1 else ("failed", LONG_AGO + timedelta(days=number))
        operation = make_operation(str(number), state=state, finished_at=finished_at)
        await store.operations.add(operation, {}, None)
    assert sorted(await store.operations.prune(keep=4)) == ["0"]
    assert sorted(await store.operations.prune(keep=4, before=LONG_AGO + timedelta(days=3.5))) == ["2", "3"]
    assert [operation.id for operation in (await store.operations.list()).items] == ["5", "4", "1"]


async def test_one_operation_claimed_by_two_is_taken_by_one(store: Store) -> None:
    for name in ("one", "two"):
        await store.operations.add(make_operation(name, state="pending"), {}, None, lane="workspace web", holder="gone")
    claims = await asyncio.gather(*(store.adoption.take_over(holder, ["gone"]) for holder in ("a", "b")))
    assert sorted(len(claim) for claim in claims) == [0, 2]
    holder, other = ("a", "b") if claims[0] else ("b", "a")
    assert [operation.id for operation in max(claims, key=len)] == ["one", "two"]
    assert await store.adoption.holders() == [holder]
    begin = store.operations.begin
    assert await begin("one", holder=other, lane="workspace web", in_order=True) is None
    assert await begin("two", holder=holder, lane="workspace web", in_order=True) is None, "one comes first"
    begun = await begin("one", holder=holder, lane="workspace web", in_order=True, attempts=1)
    assert begun
    assert (begun.state, begun.attempts) == ("running", 1)
    assert await begin("two", holder=holder, lane="workspace web", in_order=False) is None, "one runs"
    assert await store.operations.finish("one", holder=other, state="failed") is None
    assert await store.operations.finish("one", holder=holder, state="succeeded")
    assert await begin("two", holder=holder, lane="workspace web", in_order=True)
    assert await store.adoption.take_over("c", []) == []
    assert [operation.id for operation in await store.adoption.take_over("c", None)] == ["two"]
