"""Find the files that sshd reads a user's public keys from, by its configuration. Pure: text to paths.

A user who isn't root can't ask sshd (`sshd -T`), so the files are read as sshd would; the login that follows proves it.
"""

import ipaddress
import posixpath
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

DEFAULT = (".ssh/authorized_keys", ".ssh/authorized_keys2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who logs in, and by which way: what `Match` asks for, and what the tokens of a path stand for."""

    user: str
    uid: int
    groups: Sequence[str]
    home: str
    client: str = ""
    server: str = ""
    port: str = ""


def parse_key_files(config: str, account: Account) -> list[str]:
    """Return the absolute paths in sshd's order; none if it reads none. `config` has its includes in place."""
    chosen: dict[bool, Sequence[str]] = {}
    matching, in_match = True, False
    for keyword, words in _directives(config):
        if keyword == "match":
            in_match, matching = True, _matches(words, account)
        elif keyword == "authorizedkeysfile" and matching and words:
            chosen.setdefault(in_match, words)
    # what a Match says wins over what stands outside
    names = chosen.get(True, chosen.get(False, DEFAULT))
    if [name.lower() for name in names] == ["none"]:
        return []
    return [_expand(name, account) for name in names]


def in_home_first(files: Sequence[str], home: str) -> list[str]:
    """Sort the files so that one in the home folder, the one to write, comes first if there is one."""
    prefix = home.rstrip("/") + "/"
    return sorted(files, key=lambda file: not file.startswith(prefix))


def _directives(config: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each keyword, in small letters, with its arguments; `Keyword=value` too. Unreadable lines are left out."""
    for line in config.splitlines():
        lexer = shlex.shlex(line.strip(), posix=True, punctuation_chars="")
        lexer.whitespace_split, lexer.commenters, lexer.escape = True, "#", ""
        try:
            words = list(lexer)
        except ValueError:
            continue
        if not words:
            continue
        keyword, equals, value = words[0].partition("=")
        if equals:
            words[1:1] = [value] if value else []
        elif words[1:2] == ["="]:
            del words[1]
        yield keyword.lower(), words[1:]


def _matches(words: Sequence[str], account: Account) -> bool:
    """Return whether every criterion is met; one that only sshd can judge (a host name, a routing domain) is not."""
    criteria = [word.lower() for word in words]
    if criteria == ["all"]:
        return True
    if not criteria or len(criteria) % 2:
        return False
    return all(
        _meets(criterion, pattern, account) for criterion, pattern in zip(criteria[::2], words[1::2], strict=True)
    )


def _meets(criterion: str, patterns: str, account: Account) -> bool:
    match criterion:
        case "user":
            return _listed(account.user, patterns)
        case "group":
            return any(_listed(group, patterns) for group in account.groups)
        case "address":
            return _listed(account.client, patterns)
        case "localaddress":
            return _listed(account.server, patterns)
        case "localport":
            return account.port in patterns.split(",")
        case _:
            return False


def _listed(value: str, patterns: str) -> bool:
    """Return whether the value fits one of the patterns or networks, and none that has `!` before it."""
    found = False
    for pattern in patterns.split(","):
        wanted = pattern.removeprefix("!")
        if _in_network(value, wanted) or fnmatchcase(value, wanted.replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _in_network(value: str, network: str) -> bool:
    try:
        return "/" in network and ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _expand(name: str, account: Account) -> str:
    tokens = {"%": "%", "h": account.home, "u": account.user, "U": str(account.uid)}
    parts, position = [], 0
    while position < len(name):
        if name[position] == "%" and name[position + 1 : position + 2] in tokens:
            parts.append(tokens[name[position + 1]])
            position += 2
        else:
            parts.append(name[position])
            position += 1
    return posixpath.normpath(posixpath.join(account.home, "".join(parts)))
