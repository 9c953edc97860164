"""`vendetta key unlock`: the passphrases of encrypted keys, for the server's memory alone."""

import os
from pathlib import Path

import click

from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_list
from vendetta.cli.prompts import unlock_key
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput

from .key import KEY


@command(
    "unlock",
    examples="""
        vendetta key unlock
        vendetta key unlock ~/.ssh/id_ed25519
        vendetta key unlock ~/.ssh/id_ed25519 --passphrase-fd 3 3< <(pass show ssh)
    """,
)
@click.argument("file", required=False, type=click.Path())
@click.option("--passphrase-fd", type=click.IntRange(min=0), metavar="N", help="Read the passphrase from there.")
@pass_session
def unlock(session: Session, file: str | None, passphrase_fd: int | None) -> None:
    """Unlock an encrypted key, or each one that is found, until the server ends.

    Asks for the passphrase on a terminal. Server and passphrase part at once; the decrypted key stays in its memory.
    """
    path = str(Path(file).expanduser().absolute()) if file else None
    if passphrase_fd is not None:
        write_list(session, session.client.keys.unlock(_read_line(passphrase_fd), path), KEY)
        return
    if not session.interactive:
        raise InvalidInput("there is no terminal to ask for the passphrase on", hint="Give it by --passphrase-fd N.")
    locked = [key.path for key in session.client.keys.list() if key.path and key.encrypted and not key.unlocked]
    unlocked = [key for each in ([path] if path else locked) if (key := unlock_key(session, each))]
    if not path and not locked:
        session.note("no key is locked")
    write_list(session, unlocked, KEY)


def _read_line(descriptor: int) -> str:
    """Its first line. Raises a usage error where there is none."""
    try:
        with os.fdopen(descriptor, closefd=False) as file:
            passphrase = file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it isn't text"
        raise click.BadParameter(f"can't read {descriptor}: {reason}", param_hint="--passphrase-fd") from exc
    if not passphrase:
        raise click.UsageError(f"--passphrase-fd found no passphrase on {descriptor}")
    return passphrase
