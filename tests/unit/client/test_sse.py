from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vendetta.client.sse import Message, parse_sse

BODY = b': hello\n\nid: 4\nevent: node.added\ndata: {"a":\ndata: 1}\n\ndata:x\r\n\r\nid: 5\n\ndata: cut'


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_messages_do_not_depend_on_how_they_arrive(cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[start:end] for start, end in pairwise(marks)]
    assert list(parse_sse(pieces)) == [Message(b'{"a":\n1}', "4"), Message(b"x", "4")]
