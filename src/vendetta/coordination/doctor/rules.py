"""The rules of an examination: from what was found to ok, warning or failure, and the command that mends it. No I/O.

A command that begins with `vendetta` is to be run here, every other one in a shell of the node.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vendetta.models import Check, CheckState, HostKey, ProviderStatus

from .survey import Survey

MIB, GIB = 2**20, 2**30
SESSIONS = 10
SLOW_SECONDS = 0.5
SKEW_SECONDS, WRONG_SECONDS = 5.0, 300.0
"""A clock that is off by the first confuses readers of logs; by the second, it breaks checks of certificates."""
LITTLE_DISK, NO_DISK = 2 * GIB, 256 * MIB
LITTLE_MEMORY, NO_MEMORY = 256 * MIB, 64 * MIB
RELOAD = "sudo systemctl reload sshd"

ONLY_INTERACTIVE: Mapping[str, tuple[str, str]] = {
    "bash": ("case $- in *i*) ;; *) return ;; esac", ".bashrc"),
    "zsh": ("[[ -o interactive ]] || return", ".zshenv"),
    "fish": ("status is-interactive; or exit", ".config/fish/config.fish"),
    "csh": ("if (! $?prompt) exit", ".cshrc"),
    "tcsh": ("if (! $?prompt) exit", ".cshrc"),
}
"""By login shell: the line that ends a startup file early for sessions without a terminal, and the file."""


def check_login(node: str, user: str, method: str, key: str | None) -> Check:
    by = f"by {key}" if key else f"by {method}"
    if method in ("password", "keyboard-interactive"):
        detail = f"{user}, {by}: without the password nobody gets in again, and it is kept nowhere"
        return _check("login", "warning", detail, f"vendetta key install {node}")
    return _check("login", "ok", f"{user}, {by}")


def check_host_key(key: HostKey, *, pinned: bool) -> Check:
    origin = "pinned" if pinned else "known by your known_hosts"
    return _check("host-key", "ok", f"{key.type} {key.fingerprint}, {origin}")


def check_round_trip(seconds: float) -> Check:
    detail = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
    if seconds >= SLOW_SECONDS:
        return _check("round-trip", "warning", f"{detail}: everything that asks the node is as slow")
    return _check("round-trip", "ok", detail)


def check_forward_tcp(allowed: bool, survey: Survey) -> Check:
    if allowed:
        return _check("forward-tcp", "ok", "sshd forwards ports")
    return _check_carried("forward-tcp", "ports", survey, allow_forwarding(survey, tcp=False))


def check_forward_unix(allowed: bool | None, survey: Survey, *, tcp: bool) -> Check:
    """Judge whether sockets are forwarded. `tcp`: whether ports are; where they aren't, sockets aren't either."""
    if allowed:
        return _check("forward-unix", "ok", "sshd forwards unix sockets")
    return _check_carried("forward-unix", "unix sockets", survey, allow_forwarding(survey, tcp=tcp))


def _check_carried(name: str, what: str, survey: Survey, mend: str) -> Check:
    """Judge what sshd doesn't forward: a warning where the node has a program that relays it, else a failure."""
    if carrier := survey.one("carrier"):
        detail = f"sshd forwards no {what}: {carrier} there carries each in a session, which takes longer"
        return _check(name, "warning", detail, mend)
    detail = f"sshd forwards no {what}, and neither python3 nor socat is there to carry them"
    return _check(name, "failure", detail, mend)


def check_refused_socket(kind: str, survey: Survey, *, tcp: bool) -> Check:
    """Build the check of an engine whose socket sshd doesn't forward."""
    return _check(kind, "failure", "sshd doesn't forward its socket", allow_forwarding(survey, tcp=tcp))


def check_sessions(count: int, survey: Survey) -> Check:
    if count >= SESSIONS:
        return _check("sessions", "ok", f"{count} or more at once")
    detail = f"{count} at once (MaxSessions): further commands and copies wait for one to end"
    return _check("sessions", "warning" if count else "failure", detail, allow(survey, f"MaxSessions {SESSIONS}"))


def check_terminal(given: bool, survey: Survey) -> Check:
    if given:
        return _check("terminal", "ok", "sshd gives terminals")
    return _check("terminal", "warning", "sshd gives no terminals: node shell has none", allow(survey, "PermitTTY yes"))


def check_shell(survey: Survey, user: str) -> Check:
    first = survey.noise.decode(errors="replace").strip().partition("\n")[0].strip()
    if not survey.begun:
        return _check_no_shell(survey, user, first)
    shell = survey.one("shell") or "sh"
    if survey.noise:
        guard = ONLY_INTERACTIVE.get(shell.rpartition("/")[2])
        mend = f"sed -i {shlex.quote(f'1i {guard[0]}')} ~/{guard[1]}" if guard else None
        return _check("shell", "warning", f'{shell}, whose startup files write where nobody reads: "{first}"', mend)
    return _check("shell", "ok", shell)


def _check_no_shell(survey: Survey, user: str, first: str) -> Check:
    if survey.exit_status is None:
        detail = "the login shell's startup files don't come to an end"
        return _check("shell", "failure", detail, "mv ~/.bashrc ~/.bashrc.hangs")
    said = f': "{first}"' if first else ""
    if "not available" in first:
        detail = f"{user} may not run commands{said}"
        return _check("shell", "failure", detail, f"sudo chsh -s /bin/sh {user}")
    detail = f"sshd runs something else than what it is told (ForceCommand){said}"
    switch_off = r"sudo sed -Ei 's/^(\s*ForceCommand)/#\1/I' /etc/ssh/sshd_config"
    return _check("shell", "failure", detail, f"{switch_off} && {survey.one('reload') or RELOAD}")


def check_home(survey: Survey, user: str) -> Check:
    state, _, path = (survey.one("home") or "").partition(" ")
    if state == "writable":
        return _check("home", "ok", path)
    if state == "absent":
        mend = f"sudo install -d -m 700 -o {user} {shlex.quote(path or f'/home/{user}')}"
        return _check("home", "failure", f"there is no {path or 'home folder'}", mend)
    mend = f"sudo chown {user} {shlex.quote(path)}"
    detail = f"{user} may not write to {path}, or it is read-only: no key can be put there"
    return _check("home", "warning", detail, mend)


def check_sudo(survey: Survey, user: str) -> Check:
    state, _, said = (survey.one("sudo") or "").partition(" ")
    rule = f"echo {shlex.quote(f'{user} ALL=(ALL) NOPASSWD: ALL')} | sudo tee /etc/sudoers.d/{user}"
    match state:
        case "root":
            return _check("sudo", "ok", "not needed: the login user is root")
        case "allowed":
            return _check("sudo", "ok", "without a password")
        case "absent":
            return _check("sudo", "warning", f"not installed: what {user} may not do can't be done", INSTALL_SUDO)
        case "refused":
            detail = f"not without a password ({said}): what {user} may not do can't be done"
            return _check("sudo", "warning", detail, rule)
    return _check("sudo", "failure", "it doesn't answer: are its rules kept on another host?", rule)


INSTALL_SUDO = "su -c 'apt-get install -y sudo || dnf install -y sudo || apk add sudo'"


def check_kvm(survey: Survey, user: str) -> Check:
    state, _, more = (survey.one("kvm") or "").partition(" ")
    match state:
        case "usable":
            return _check("kvm", "ok", f"/dev/kvm, open to {user}")
        case "denied":
            detail = f"{user} may not use /dev/kvm: virtual machines would be slow"
            join = f"sudo usermod -aG kvm {user}"
            return _check("kvm", "warning", detail, join if more == "kvm" else f"sudo chgrp kvm /dev/kvm && {join}")
        case "broken":
            detail = "/dev/kvm is there and doesn't open: virtual machines would be slow"
            return _check("kvm", "warning", detail, "sudo modprobe -a kvm_intel kvm_amd")
        case "absent" if more:
            module = "kvm_intel" if more == "vmx" else "kvm_amd"
            detail = "no /dev/kvm, though the CPU can: virtual machines would be slow"
            return _check("kvm", "warning", detail, f"sudo modprobe {module}")
        case "absent":
            return _check("kvm", "skipped", "no /dev/kvm, and the CPU shows no virtualization")
    return _check("kvm", "failure", "it was not told in time")


def check_disk(survey: Survey) -> Check:
    disks = parse_disks(survey.facts.get("disk", []))
    if not disks:
        return _check("disk", "failure", "df doesn't answer: a file system hangs", "cat /proc/mounts")
    # a small one may be as empty as it can be: what it lacks is counted by its own size too
    mount, (free, size) = min(disks.items(), key=lambda item: item[1][0] / min(LITTLE_DISK, item[1][1] // 2 or 1))
    detail = f"{_size(free)} of {_size(size)} free on {mount}"
    if free < min(LITTLE_DISK, size // 2):
        mend = f"sudo du -xhd 2 {shlex.quote(mount)} | sort -h | tail"
        return _check("disk", "failure" if free < min(NO_DISK, size // 10) else "warning", detail, mend)
    return _check("disk", "ok", ", ".join(f"{_size(free)} free on {mount}" for mount, (free, _) in disks.items()))


def parse_disks(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the free and the total bytes by mount point, from `df`'s lines "FREE SIZE MOUNT", in KiB."""
    disks = {}
    for line in lines:
        free, size, mount = line.split(" ", 2)
        if free.isdigit() and size.isdigit():
            disks[mount] = int(free) * 1024, int(size) * 1024
    return disks


def check_memory(survey: Survey) -> Check:
    total, free = survey.number("MemTotal:"), survey.number("MemAvailable:")
    if total is None or free is None:
        return _check("memory", "warning", "the node doesn't tell how much it has free")
    total, free = total * 1024, free * 1024
    detail = f"{_size(free)} of {_size(total)} free"
    if free < LITTLE_MEMORY:
        mend = "ps -eo pid,rss,args --sort=-rss | head"
        return _check("memory", "failure" if free < NO_MEMORY else "warning", f"{detail}: end what takes it", mend)
    return _check("memory", "ok", detail)


def check_clock(survey: Survey, round_trip_seconds: float) -> Check:
    node_time = survey.number("clock")
    if node_time is None:
        return _check("clock", "warning", "the node doesn't tell the time")
    # its seconds are whole ones, and its answer was half a round trip on the way
    skew = node_time + 0.5 - (survey.arrived_at - round_trip_seconds / 2)
    if abs(skew) < SKEW_SECONDS:
        return _check("clock", "ok", "agrees with the server's")
    detail = f"{_duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the server's"
    state: CheckState = "warning" if abs(skew) < WRONG_SECONDS else "failure"
    return _check("clock", state, detail, "sudo timedatectl set-ntp true")


def check_engine(kind: str, status: ProviderStatus) -> Check:
    """Build the check of a provider without checks of its own, from its status."""
    states: Mapping[str, CheckState] = {"healthy": "ok", "undetected": "skipped"}
    return _check(kind, states.get(status.state, "failure"), status.reason or status.version or status.state)


def settle_engines(checks: Sequence[Check], kinds: Sequence[str]) -> list[Check]:
    """Return the checks, those of absent engines changed: not needed where another engine is usable, else a failure."""
    usable = [check.name for check in checks if check.name in kinds and check.state in ("ok", "warning")]
    settled = []
    for check in checks:
        if check.state == "skipped" and check.name in kinds:
            if usable:
                check = replace(check, detail=f"{check.detail} (not needed: there is {usable[0]})", mend=None)
            else:
                check = replace(check, state="failure")
        settled.append(check)
    return settled


def allow_forwarding(survey: Survey, *, tcp: bool) -> str:
    """Return the command that lets sshd forward sockets, and ports too unless it does (`tcp`)."""
    return allow(survey, *([] if tcp else ["AllowTcpForwarding yes"]), "AllowStreamLocalForwarding yes")


def allow(survey: Survey, *options: str) -> str:
    """Return the command that puts options first in sshd's configuration, where the first value of an option counts."""
    lines = r"\n".join(options)
    first = f"sudo sed -i {shlex.quote(f'1i {lines}')} /etc/ssh/sshd_config"
    return f"{first} && sudo sshd -t && {survey.one('reload') or RELOAD}"


def for_user(check: Check, user: str) -> Check:
    """Return the check with its command as that user types it: root needs no sudo, and may have none."""
    return replace(check, mend=check.mend.replace("sudo ", "")) if check.mend and user == "root" else check


def _check(name: str, state: CheckState, detail: str, mend: str | None = None) -> Check:
    return Check(name=name, state=state, detail=detail, mend=mend)


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
