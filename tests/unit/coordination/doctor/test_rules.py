"""Each rule of an examination: what is found, what is said of it, and the command that mends it."""

import shlex
from typing import Any

import pytest

from vendetta.coordination.doctor import rules as checks
from vendetta.coordination.doctor.survey import Survey
from vendetta.models import Check, HostKey, ProviderStatus

NOW = 1_700_000_000
KIB_OF_GIB = 2**20


def survey(noise: bytes = b"", exit_status: int | None = 0, **facts: Any) -> Survey:
    """One that has begun, unless `begin` is None."""
    told = {"begin": "yes", "reload": "sudo systemctl reload ssh", **facts}
    found = Survey(noise=noise, exit_status=exit_status, arrived_at=NOW + 0.5)
    for key, value in told.items():
        if value is not None:
            found.facts[key.replace("_", ":")] = value if isinstance(value, list) else [value]
    return found


def verdict(check: Check) -> tuple[str, str]:
    return check.name, check.state


# the login


def test_a_login_by_key() -> None:
    check = checks.check_login("gpu", "me", "publickey", "ssh-ed25519 SHA256:abc (me@home)")
    assert (check.state, check.detail) == ("ok", "me, by ssh-ed25519 SHA256:abc (me@home)")


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_login_by_password_can_not_be_repeated(method: str) -> None:
    check = checks.check_login("gpu", "me", method, None)
    assert (check.state, check.mend) == ("warning", "vendetta key install gpu")


def test_a_login_that_needed_nothing() -> None:
    assert checks.check_login("gpu", "me", "none", None).detail == "me, by none"


def test_where_the_host_key_is_known_from() -> None:
    key = HostKey(type="ssh-ed25519", fingerprint="SHA256:abc")
    assert checks.check_host_key(key, pinned=True).detail == "ssh-ed25519 SHA256:abc, pinned"
    assert "known_hosts" in checks.check_host_key(key, pinned=False).detail


@pytest.mark.parametrize(("seconds", "state"), [(0.0004, "ok"), (0.2, "ok"), (0.5, "warning"), (1.4, "warning")])
def test_round_trips(seconds: float, state: str) -> None:
    assert checks.check_round_trip(seconds).state == state


# what sshd allows


def test_what_is_allowed_is_well() -> None:
    told = survey()
    allowed = [
        checks.check_forward_tcp(True, told),
        checks.check_forward_unix(True, told, tcp=True),
        checks.check_sessions(10, told),
        checks.check_terminal(True, told),
    ]
    assert {check.state for check in allowed} == {"ok"}
    assert {check.mend for check in allowed} == {None}


def test_no_forwarding_of_ports_takes_that_of_sockets_with_it_and_one_command_mends_both() -> None:
    told = survey()
    ports, sockets = checks.check_forward_tcp(False, told), checks.check_forward_unix(False, told, tcp=False)
    engine = checks.check_refused_socket("docker", told, tcp=False)
    assert {check.state for check in (ports, sockets, engine)} == {"failure"}
    assert ports.mend == sockets.mend == engine.mend
    assert ports.mend == (
        r"sudo sed -i '1i AllowTcpForwarding yes\nAllowStreamLocalForwarding yes' /etc/ssh/sshd_config"
        " && sudo sshd -t && sudo systemctl reload ssh"
    )


@pytest.mark.parametrize("allowed", [False, None])
def test_no_forwarding_of_sockets(allowed: bool | None) -> None:
    check = checks.check_forward_unix(allowed, survey(), tcp=True)
    assert check.state == "failure"
    assert check.mend is not None
    assert shlex.split(check.mend)[3] == "1i AllowStreamLocalForwarding yes"


@pytest.mark.parametrize(("count", "state"), [(0, "failure"), (1, "warning"), (9, "warning"), (10, "ok"), (12, "ok")])
def test_sessions_at_once(count: int, state: str) -> None:
    check = checks.check_sessions(count, survey())
    assert check.state == state
    assert ("MaxSessions 10" in (check.mend or "")) == (state != "ok")


def test_no_terminals() -> None:
    check = checks.check_terminal(False, survey())
    assert (check.state, "PermitTTY yes" in (check.mend or "")) == ("warning", True)


def test_sshd_is_reloaded_as_the_node_does_it() -> None:
    assert checks.allow(survey(reload="sudo kill -HUP 39"), "X yes").endswith("sudo kill -HUP 39")
    assert checks.allow(survey(reload=None), "X yes").endswith(checks.RELOAD)


# the shell


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/fish", "/bin/csh"])
def test_any_quiet_shell_is_well(shell: str) -> None:
    assert verdict(checks.check_shell(survey(shell=shell), "me")) == ("shell", "ok")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("/bin/bash", "~/.bashrc"),
        ("/bin/zsh", "~/.zshenv"),
        ("/usr/bin/fish", "~/.config/fish/config.fish"),
        ("/bin/tcsh", "~/.cshrc"),
    ],
)
def test_noisy_startup_files(shell: str, file: str) -> None:
    check = checks.check_shell(survey(b"Welcome!\nYou have mail.\n", shell=shell), "me")
    assert check.state == "warning"
    assert '"Welcome!"' in check.detail
    assert check.mend is not None
    assert check.mend.startswith("sed -i ")
    assert check.mend.endswith(f" {file}")


def test_a_noisy_shell_that_nobody_knows() -> None:
    assert checks.check_shell(survey(b"hi\n", shell="/bin/oil"), "me").mend is None


def test_startup_files_without_an_end() -> None:
    check = checks.check_shell(survey(begin=None, exit_status=None), "me")
    assert (check.state, "don't come to an end" in check.detail) == ("failure", True)
    assert check.mend


def test_a_forced_command() -> None:
    check = checks.check_shell(survey(b"bye\n", begin=None), "me")
    assert (check.state, '(ForceCommand): "bye"' in check.detail) == ("failure", True)
    assert "ForceCommand" in (check.mend or "")


def test_a_user_who_may_run_nothing() -> None:
    check = checks.check_shell(survey(b"This account is currently not available.\n", begin=None, exit_status=1), "me")
    assert (check.state, check.mend) == ("failure", "sudo chsh -s /bin/sh me")


@pytest.mark.parametrize(
    ("home", "state", "mend"),
    [
        ("writable /home/me", "ok", None),
        ("closed /home/me", "warning", "sudo chown me /home/me"),
        ("absent /home/me", "failure", "sudo install -d -m 700 -o me /home/me"),
        ("absent ", "failure", "sudo install -d -m 700 -o me /home/me"),
    ],
)
def test_home_folders(home: str, state: str, mend: str | None) -> None:
    check = checks.check_home(survey(home=home), "me")
    assert (check.state, check.mend) == (state, mend)


@pytest.mark.parametrize(
    ("sudo", "state"),
    [
        ("root", "ok"),
        ("allowed", "ok"),
        ("absent", "warning"),
        ("refused sudo: a password is required", "warning"),
        (None, "failure"),
    ],
)
def test_sudo(sudo: str | None, state: str) -> None:
    check = checks.check_sudo(survey(sudo=sudo), "me")
    assert check.state == state
    assert bool(check.mend) == (state != "ok")


def test_sudo_says_why_not() -> None:
    check = checks.check_sudo(survey(sudo="refused sudo: a password is required"), "me")
    assert "a password is required" in check.detail
    assert check.mend == "echo 'me ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/me"


# the machine


@pytest.mark.parametrize(
    ("kvm", "state", "mend"),
    [
        ("usable", "ok", None),
        ("denied kvm", "warning", "sudo usermod -aG kvm me"),
        ("denied root", "warning", "sudo chgrp kvm /dev/kvm && sudo usermod -aG kvm me"),
        ("broken", "warning", "sudo modprobe -a kvm_intel kvm_amd"),
        ("absent vmx", "warning", "sudo modprobe kvm_intel"),
        ("absent svm", "warning", "sudo modprobe kvm_amd"),
        ("absent ", "skipped", None),
        (None, "failure", None),
    ],
)
def test_kvm(kvm: str | None, state: str, mend: str | None) -> None:
    check = checks.check_kvm(survey(kvm=kvm), "me")
    assert (check.state, check.mend) == (state, mend)


@pytest.mark.parametrize(
    ("disks", "state"),
    [
        (["50000000 100000000 /"], "ok"),
        (["Available 1024-blocks Mounted on", "50000000 100000000 /"], "ok"),
        (["50000000 100000000 /", "1000000 100000000 /var/lib"], "warning"),
        (["50000000 100000000 /", "90000 100000 /tmp"], "ok"),  # small, and empty
        (["50000000 100000000 /", "20000 100000 /tmp"], "warning"),
        (["0 100000000 /", "50000000 100000000 /data"], "failure"),
        (["100000 100000000 /"], "failure"),
        (["nonsense to read"], "failure"),
        ([], "failure"),
    ],
)
def test_disks(disks: list[str], state: str) -> None:
    check = checks.check_disk(survey(disk=disks or None))
    assert check.state == state
    assert bool(check.mend) == (state != "ok")


def test_the_fullest_disk_is_named() -> None:
    told = survey(disk=["50000000 100000000 /", f"{KIB_OF_GIB} {100 * KIB_OF_GIB} /var lib"])
    check = checks.check_disk(told)
    assert check.detail == "1.0 GiB of 100.0 GiB free on /var lib"
    assert "'/var lib'" in (check.mend or "")


@pytest.mark.parametrize(
    ("free_mib", "state"), [(16000, "ok"), (256, "ok"), (255, "warning"), (64, "warning"), (63, "failure")]
)
def test_memory(free_mib: int, state: str) -> None:
    told = survey(MemTotal_=str(16 * KIB_OF_GIB), MemAvailable_=str(free_mib * 1024))
    check = checks.check_memory(told)
    assert check.state == state
    assert bool(check.mend) == (state != "ok")


def test_memory_that_is_not_told() -> None:
    assert checks.check_memory(survey()).state == "warning"


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (0, "ok", "agrees"),
        (-4, "ok", "agrees"),
        (30, "warning", "30 s ahead"),
        (-30, "warning", "30 s behind"),
        (3600, "failure", "60 min ahead"),
        (-86400, "failure", "24.0 h behind"),
    ],
)
def test_clocks(ahead: int, state: str, words: str) -> None:
    check = checks.check_clock(survey(clock=str(NOW + ahead)), 0.001)
    assert (check.state, words in check.detail) == (state, True)
    assert check.mend == (None if state == "ok" else "sudo timedatectl set-ntp true")


def test_a_slow_link_is_no_wrong_clock() -> None:
    assert checks.check_clock(survey(clock=str(NOW - 6)), 6.0).state == "ok"
    assert checks.check_clock(survey(), 6.0).state == "warning"


# the engines


def engine(kind: str, state: Any) -> Check:
    return Check(name=kind, state=state, detail="found", mend="install it" if state == "skipped" else None)


def test_an_engine_that_is_absent_is_no_matter_where_there_is_another() -> None:
    settled = checks.settle_engines([engine("docker", "ok"), engine("lxc", "skipped")], ["docker", "lxc"])
    assert [(check.state, check.mend) for check in settled] == [("ok", None), ("skipped", None)]
    assert "there is docker" in settled[1].detail


def test_without_any_engine_nothing_can_run() -> None:
    settled = checks.settle_engines([engine("docker", "skipped"), engine("lxc", "failure")], ["docker", "lxc"])
    assert [(check.state, check.mend) for check in settled] == [("failure", "install it"), ("failure", None)]


def test_the_state_of_an_engine_without_checks_of_its_own() -> None:
    healthy = checks.check_engine("lxc", ProviderStatus(state="healthy", version="5.0"))
    assert (healthy.state, healthy.detail) == ("ok", "5.0")
    assert checks.check_engine("lxc", ProviderStatus(state="undetected", reason="none")).state == "skipped"
    assert checks.check_engine("lxc", ProviderStatus(state="unhealthy", reason="broken")).state == "failure"


def test_root_types_no_sudo() -> None:
    check = Check(name="sudo", state="failure", detail="x", mend="sudo a && sudo b")
    assert checks.for_user(check, "root").mend == "a && b"
    assert checks.for_user(check, "me").mend == "sudo a && sudo b"
