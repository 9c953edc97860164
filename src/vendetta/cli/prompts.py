"""Questions to the person at the terminal: is this the machine, what is the password, shall this really go."""

from collections.abc import Callable
from typing import TypeVar

import click

from vendetta.client.nodes import Login
from vendetta.errors import AuthFailed, HostKeyUnknown, InvalidInput
from vendetta.models import Key

from .access.randomart import draw, name_family
from .session import Session

T = TypeVar("T")

_PASSWORD_METHODS = {"password", "keyboard-interactive"}
_PASSPHRASE_TRIES = 3


def confirm_removal(session: Session, what: str, *, yes: bool) -> None:
    """Ask on a terminal. Raises `InvalidInput` without one, unless `yes`, and `click.Abort` for a no."""
    confirm(session, f"remove {what}", yes=yes)


def confirm(session: Session, deed: str, *, yes: bool) -> None:
    """Ask on a terminal. Raises `InvalidInput` without one, unless `yes`, and `click.Abort` for a no."""
    if yes:
        return
    if not session.interactive:
        raise InvalidInput(f"refusing to {deed} without a yes", hint="There is no terminal to ask on: add --yes.")
    if not click.confirm(f"{deed[:1].upper()}{deed[1:]}?", err=True):
        raise click.Abort


def ask_password(question: str = "Password") -> str:
    """Ask for a password without showing it. Raises `click.Abort` at the end of the input."""
    return str(click.prompt(question, hide_input=True, err=True))


def unlock_key(session: Session, path: str) -> Key | None:
    """Ask for the passphrase of a key, as ssh does: three times at most. Return None where nothing was entered."""
    for tries in range(1, _PASSPHRASE_TRIES + 1):
        question = f"Passphrase for {path} (Enter: leave it)"
        passphrase = click.prompt(question, default="", show_default=False, hide_input=True, err=True)
        if not passphrase:
            return None
        try:
            [key] = session.client.keys.unlock(passphrase, path)
            return key
        except InvalidInput as exc:
            if tries == _PASSPHRASE_TRIES:
                raise
            session.note(f"{exc.message}")
    raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def log_in(session: Session, attempt: Callable[[Login], T], login: Login) -> T:
    """Call `attempt` with `login`; on a terminal ask for a missing yes, passphrase or password, and call it again."""
    accepted = {login["host_key"]} if "host_key" in login else set()
    asked: set[str] = set()
    while True:
        try:
            return attempt(login)
        except HostKeyUnknown as exc:
            fingerprint = str(exc.details.get("fingerprint", ""))
            # a key that was named or accepted and still isn't known would be asked for without end
            if not session.interactive or not fingerprint or fingerprint in accepted:
                raise
            accept_host_key(session, exc)
            accepted.add(fingerprint)
            login = {**login, "host_key": fingerprint}
        except AuthFailed as exc:
            locked = [path for path in exc.details.get("locked") or () if path not in asked]
            asked.update(locked)
            unlocked = [unlock_key(session, path) for path in locked] if session.interactive else []
            if any(unlocked):
                continue
            methods = set(exc.details.get("methods") or ())
            if not session.interactive or "password" in login or not methods & _PASSWORD_METHODS:
                raise
            login = {**login, "password": ask_password()}


def accept_host_key(session: Session, error: HostKeyUnknown) -> None:
    """Ask as ssh does: yes, no, or the fingerprint itself. Raises `error` where the answer is no.

    With `-v` the key is also shown as a picture.
    """
    details = error.details
    algorithm, fingerprint = str(details.get("type", "")), str(details["fingerprint"])
    port = details.get("port", 22)
    host = f"[{details.get('host')}]:{port}" if port != 22 else details.get("host")
    click.echo(f"The authenticity of host '{host}' can't be established.", err=True)
    click.echo(f"{name_family(algorithm)} key fingerprint is {fingerprint}.", err=True)
    if session.verbose:
        click.echo("\n".join(draw(fingerprint, algorithm, details.get("bits"))), err=True)
    question = "Are you sure you want to continue connecting (yes/no/[fingerprint])?"
    while True:
        answer = click.prompt(question, err=True, prompt_suffix=" ").strip()
        if answer.lower() == "yes" or answer == fingerprint:
            return
        if answer.lower() == "no":
            raise error
        question = "Please type 'yes', 'no' or the fingerprint:"
