"""What is only said of the state in PostgreSQL."""

import pytest

from vendetta.errors import InvalidInput
from vendetta.store import Store


async def test_a_wrong_password_is_told_and_never_shown(state_file: str) -> None:
    password = state_file.split(":")[2].partition("@")[0]
    wrong = state_file.replace(password, "not-my-secret")
    with pytest.raises(InvalidInput, match=r"vendetta:\*\*\*@.*password authentication failed") as caught:
        async with Store.open(wrong):
            pass
    assert "not-my-secret" not in repr(caught.value)
