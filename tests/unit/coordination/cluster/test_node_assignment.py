from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vendetta.coordination.cluster.node_assignment import owner_of

NODES = [f"node-{number}" for number in range(3000)]
names = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=6)


@given(replicas=names, node=st.text(max_size=8))
def test_all_name_the_same_owner_in_whatever_order_they_know_each_other(replicas: set[str], node: str) -> None:
    assert owner_of(node, sorted(replicas)) == owner_of(node, sorted(replicas, reverse=True))
    assert owner_of(node, replicas) in replicas


@given(replicas=names, node=st.text(max_size=8), leaver=st.text(min_size=1, max_size=8))
def test_one_that_leaves_moves_its_own_nodes_alone(replicas: set[str], node: str, leaver: str) -> None:
    before = owner_of(node, replicas | {leaver})
    if before != leaver:
        assert owner_of(node, replicas - {leaver}) == before


def test_the_shares_are_about_equal() -> None:
    shares = Counter(owner_of(node, ["first", "second", "third"]) for node in NODES)
    assert set(shares) == {"first", "second", "third"}
    assert max(shares.values()) - min(shares.values()) < 0.15 * len(NODES)


def test_nobody_there_owns_nothing() -> None:
    assert owner_of("node", []) is None
