"""Quote a command so that every login shell reads it in the same way: sh, bash, zsh, fish, csh and tcsh.

sshd hands the text to whatever shell the user has. Within single quotes fish knows backslashes, and csh knows `!` and
allows no newline; so those stand outside the quotes, and lines go to `sh` one by one.
"""

import re
import shlex
from collections.abc import Sequence

_PIECES = re.compile(r"[\\'!]|[^\\'!]+")
_SAFE = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
_JOIN_LINES = 'eval "$(printf "%s\\n" "$@")"'


def quote_command(argv: Sequence[str]) -> str:
    """Quote an argv for any login shell. Returns an empty text for an empty argv."""
    if not any("\n" in word for word in argv):
        return " ".join(map(quote_word, argv))
    lines = f"exec {shlex.join(argv)}".split("\n")
    return " ".join(map(quote_word, ["sh", "-c", _JOIN_LINES, "sh", *lines]))


def quote_word(word: str) -> str:
    """Quote one word that holds no newline."""
    if not word:
        return "''"
    if _SAFE.fullmatch(word):
        return word
    return "".join(f"\\{piece}" if piece in "\\'!" else f"'{piece}'" for piece in _PIECES.findall(word))
