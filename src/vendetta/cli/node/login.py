"""The options that say how to log in this once."""

from collections.abc import Callable
from typing import Any

import click

from vendetta.cli.params import pick_one, read_password
from vendetta.client.nodes import Login

F = Callable[..., Any]

_OPTIONS = (
    click.option("--host-key", metavar="SHA256:…", help="The host key to accept on first sight."),
    click.option("--accept-new", is_flag=True, help="Accept whichever host key is offered on first sight."),
    click.option("--password-stdin", is_flag=True, help="Read a password from stdin, to use this once."),
)


def login_options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def build_login(host_key: str | None, accept_new: bool, password_stdin: bool) -> Login:
    pick_one(host_key=host_key, accept_new=accept_new)
    login = Login()
    if host_key:
        login["host_key"] = host_key
    if accept_new:
        login["accept_new"] = True
    if password_stdin:
        login["password"] = read_password()
    return login
