"""What callers send is refused with the path, the value and what would be right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.coordination.requests import NAME, NodeRequest, WorkspaceRequest, parse_size, validated
from vendetta.errors import InvalidInput

GOOD: dict[str, Any] = {"name": "web", "provider": "docker", "image": "busybox"}


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("512M", 512 * 2**20), ("2G", 2**31), ("1.5g", 3 * 2**29), ("2GiB", 2**31), (7, 7), ("1T", 2**40)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "2X", "-1G", "two", None, 1.5, True, "1e9"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match='such as "512M"'):
        parse_size(text)


@given(st.text(max_size=50))
def test_a_name_is_taken_exactly_by_the_rule(name: str) -> None:
    accepted = True
    try:
        validated(WorkspaceRequest, {**GOOD, "name": name})
    except InvalidInput:
        accepted = False
    assert accepted == bool(NAME.fullmatch(name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Web"}, r"name: 'Web': must be 1 to 40 small letters"),
        ({"memory": "2X"}, r"memory: '2X': must be a size"),
        ({"memory": 0}, r"memory: 0: .*greater than 0"),
        ({"cpus": "many"}, r"cpus: 'many'"),
        ({"imagee": "x"}, r'imagee: unknown key. Did you mean "image"\?'),
        ({"env": {"1X": "y"}}, r"env"),
        ({"mounts": [{"source": "/a", "target": "b"}]}, r"mounts.0.target: 'b'"),
        ({"command": []}, r"command"),
        ({"image": "--privileged"}, r"image: '--privileged'"),
    ],
)
def test_bad_values_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        validated(WorkspaceRequest, {**GOOD, **change})


def test_every_problem_is_listed_and_the_first_is_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        validated(WorkspaceRequest, {"name": "web", "cpus": 0})
    paths = {problem["path"] for problem in caught.value.details["problems"]}
    assert paths == {"image", "provider", "cpus"}
    assert "(and 2 more)" in caught.value.message


def test_where_goes_before_the_path() -> None:
    with pytest.raises(InvalidInput, match=r"^config\.port: 0"):
        validated(NodeRequest, {"name": "a", "address": "b", "port": 0}, where="config")


def test_a_spec_is_made_of_a_request() -> None:
    request = validated(
        WorkspaceRequest,
        {**GOOD, "memory": "1G", "mounts": [{"source": "data", "target": "/data", "read_only": True}]},
    )
    spec = request.spec()
    assert spec.memory_bytes == 2**30
    assert spec.mounts[0].read_only
