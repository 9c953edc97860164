"""The options that say how to log in this once."""

from collections.abc import Callable
from typing import Any

import click

from vendetta.cli.params import pick_one, read_password
from vendetta.cli.prompts import ask_password
from vendetta.client.nodes import Login

F = Callable[..., Any]

_OPTIONS = (
    click.option("--host-key", metavar="SHA256:…", help="The host key to accept on first sight."),
    click.option("--accept-new", is_flag=True, help="Accept whichever host key is offered on first sight."),
    click.option("--password-stdin", is_flag=True, help="Read a password from stdin, to use this once."),
    click.option("--sudo-password", is_flag=True, help="Ask for sudo's password, for this connection alone."),
    click.option("--sudo-password-stdin", is_flag=True, help="Read sudo's password from stdin (after the login's)."),
)


def login_options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def build_login(
    host_key: str | None,
    accept_new: bool,
    password_stdin: bool,
    sudo_password: bool = False,
    sudo_password_stdin: bool = False,
) -> Login:
    pick_one(host_key=host_key, accept_new=accept_new)
    pick_one(sudo_password=sudo_password, sudo_password_stdin=sudo_password_stdin)
    login = Login()
    if host_key:
        login["host_key"] = host_key
    if accept_new:
        login["accept_new"] = True
    if password_stdin:
        login["password"] = read_password()
    if sudo_password_stdin:
        login["sudo_password"] = read_password("--sudo-password-stdin")
    elif sudo_password:
        login["sudo_password"] = ask_password("Password for sudo on the node")
    return login
