import pytest

from vendetta import errors
from vendetta.cli.exits import exit_status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("internal", 1),
        ("command_failed", 1),
        ("image_not_found", 1),
        ("engine_unavailable", 1),
        ("unsupported", 1),
        ("invalid_input", 2),
        ("unknown_provider", 2),
        ("unknown_action", 2),
        ("node_not_found", 3),
        ("token_not_found", 3),
        ("name_taken", 4),
        ("wrong_state", 4),
        ("connect_failed", 5),
        ("connection_lost", 5),
        ("server_unavailable", 5),
        ("auth_failed", 6),
        ("host_key_changed", 6),
        ("host_key_unknown", 6),
        ("forbidden", 6),
        ("unauthorized", 6),
        ("deadline_exceeded", 7),
        ("link_timeout", 7),
    ],
)
def test_each_error_has_its_status(code: str, status: int) -> None:
    assert exit_status(errors.by_code(code)("x")) == status
