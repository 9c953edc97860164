"""Find out why a unix socket of a node could not be opened: sshd only says "failed", the node itself knows more."""

from vendetta.errors import EngineForbidden, EngineUnavailable, ForwardingRefused, VendettaError

# one round trip, one word and the socket's group; nothing but what every POSIX shell and Linux has
DIAGNOSE = r"""
group=$(stat -Lc %G -- "$1" 2>/dev/null)
if [ ! -e "$1" ]; then echo absent
elif [ ! -S "$1" ]; then echo other
elif [ ! -w "$1" ]; then echo "denied $group"
elif grep -q "00010000 .* $1\$" /proc/net/unix 2>/dev/null; then echo listening
else echo silent
fi
"""


REASONS = {
    "absent": ("there is no {path} on node {node}", "Is the engine installed and running there?"),
    "other": ("{path} on node {node} is not a socket", "Which path does the engine listen on?"),
    "silent": (
        "nobody answers at {path} on node {node}",
        "The socket is there, but no engine behind it: start the engine.",
    ),
}
UNKNOWN = "Does the engine run there, and may its login user run commands?"


def explain(answer: str, *, node: str, user: str, path: str) -> VendettaError:
    """Build the error from `answer`, what `DIAGNOSE` printed, perhaps after the chatter of a login.

    An empty answer means that it could not run.
    """
    words = answer.strip().rpartition("\n")[2].split()
    match words:
        case ["denied", *group]:
            name = group[0] if group else "docker"
            return EngineForbidden(
                f"user {user} may not use {path} on node {node}",
                hint=f"Add the user to the socket's group, then connect again: sudo usermod -aG {name} {user}. "
                f"Or use sudo there: vendetta node edit {node} --sudo",
                node=node,
                path=path,
                user=user,
                group=name,
            )
        case ["listening"]:
            return ForwardingRefused(
                f"use {path} on node {node}: its sshd does not forward unix sockets",
                hint="Allow it in sshd_config: AllowStreamLocalForwarding yes.",
                node=node,
                path=path,
            )
        case [found] if found in REASONS:
            message, hint = REASONS[found]
        case _:
            found = "unknown"
            message, hint = "{path} on node {node} can't be opened, and the node can't say why", UNKNOWN
    return EngineUnavailable(message.format(path=path, node=node), hint=hint, node=node, path=path, found=found)
