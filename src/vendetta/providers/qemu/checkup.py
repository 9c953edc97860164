"""Is qemu there, and what would make it better: the node's own words, judged. The judging is pure."""

from collections.abc import Mapping

from vendetta.models import Check, CheckState, ProviderStatus

from .scripts import CHECKUP, Scripts

REQUIRED = ("qemu-img", "flock", "timeout", "tar", "gzip")
LITTLE_BYTES, NO_BYTES = 2 * 2**30, 256 * 2**20
MIB = 2**20
_PACKAGES = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm", "riscv64": "qemu-system-misc"}
_FIRMWARE = {"x86_64": "ovmf", "aarch64": "qemu-efi-aarch64"}


async def probe(scripts: Scripts) -> ProviderStatus:
    """Ask the node one question. Raises `LinkError` alone."""
    result = await scripts.try_run(CHECKUP)
    return judge(parse_facts(result.stdout))


async def examine(scripts: Scripts) -> list[Check]:
    """Implement `Checkup.checks`."""
    result = await scripts.try_run(CHECKUP, "all")
    facts = parse_facts(result.stdout)
    status = judge(facts)
    usable = check_usable(facts, status)
    if status.state != "healthy":
        return [usable]
    return [usable, check_acceleration(facts), check_firmware(facts), check_storage(facts), check_fetching(facts)]


def parse_facts(output: bytes) -> dict[str, str]:
    """Return facts by key; each program that is there has a key of its own."""
    facts = {}
    for line in output.decode(errors="replace").splitlines():
        key, _, value = line.partition(" ")
        facts[f"program {value}" if key == "program" else key] = value
    return facts


def judge(facts: Mapping[str, str]) -> ProviderStatus:
    arch = facts.get("arch", "this machine")
    if not facts.get("qemu"):
        return ProviderStatus(state="undetected", reason=f"there is no qemu-system-{arch}")
    absent = [program for program in REQUIRED if f"program {program}" not in facts]
    if absent:
        return ProviderStatus(state="unhealthy", version=facts["qemu"], reason=f"there is no {', '.join(absent)}")
    return ProviderStatus(state="healthy", version=facts["qemu"])


def check_usable(facts: Mapping[str, str], status: ProviderStatus) -> Check:
    if status.state == "healthy":
        return Check(name="qemu", state="ok", detail=f"qemu {status.version}, for {facts['arch']}")
    package = _PACKAGES.get(facts.get("arch", ""), "qemu-system")
    mend = f"sudo apt-get install {package} qemu-utils util-linux"
    state: CheckState = "skipped" if status.state == "undetected" else "failure"
    return Check(name="qemu", state=state, detail=status.reason or "", mend=mend)


def check_acceleration(facts: Mapping[str, str]) -> Check:
    name = "qemu-acceleration"
    found, *more = facts.get("kvm", "absent").split()
    if found == "works":
        return Check(name=name, state="ok", detail="KVM: a guest has run by it")
    slow = "VMs are emulated, which is many times slower"
    if found == "closed":
        group, user = more
        detail = f"/dev/kvm is closed to {user}: {slow}"
        return Check(name=name, state="warning", detail=detail, mend=f"sudo usermod -aG {group} {user}")
    if found == "fails":
        return Check(name=name, state="warning", detail=f"/dev/kvm is there, but no guest runs by it: {slow}")
    mend = "sudo modprobe -a kvm_intel kvm_amd"
    return Check(name=name, state="warning", detail=f"there is no /dev/kvm: {slow}", mend=mend)


def check_firmware(facts: Mapping[str, str]) -> Check:
    if found := facts.get("firmware"):
        return Check(name="qemu-firmware", state="ok", detail=f"UEFI: {found}")
    mend = f"sudo apt-get install {_FIRMWARE.get(facts['arch'], 'ovmf')}"
    return Check(name="qemu-firmware", state="warning", detail="there is none for options.firmware=uefi", mend=mend)


def check_storage(facts: Mapping[str, str]) -> Check:
    free = int(facts.get("free") or 0) * 1024
    detail = f"{facts.get('root', '')}, {free // MIB} MiB free"
    if free >= LITTLE_BYTES:
        return Check(name="qemu-storage", state="ok", detail=detail)
    return Check(name="qemu-storage", state="failure" if free < NO_BYTES else "warning", detail=detail)


def check_fetching(facts: Mapping[str, str]) -> Check:
    for program in ("curl", "wget"):
        if f"program {program}" in facts:
            return Check(name="qemu-fetching", state="ok", detail=f"images are fetched by {program}")
    detail = "neither curl nor wget: images can't be fetched from an address"
    return Check(name="qemu-fetching", state="warning", detail=detail, mend="sudo apt-get install curl")
