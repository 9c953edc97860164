"""Making one VM: what is there already, the image, the VM's files; by one script, which makes all of it or nothing."""

import io
import secrets
import tarfile
import time
from collections.abc import Mapping

import msgspec

from vendetta.errors import ImageNotFound, InvalidInput, NameTaken
from vendetta.models import Instance, InstanceSpec
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import check_name, spec_hash
from vendetta.transport import Transport

from .argv import build_argv, build_settings
from .cloud_init import build_cloud_config, build_seed, build_user_data, parse_type
from .images import Images, image_key
from .keys import generate_key
from .options import DEFAULT_MEMORY_BYTES, NO_IMAGE, Choices, check_spec, is_address
from .records import Record
from .scripts import CREATE, Found, Scripts, parse_found

CREATE_SECONDS = 120.0
NOTHING = "-"


class Creation:
    def __init__(
        self, transport: Transport, scripts: Scripts, images: Images, *, owner: str, name: str, spec: InstanceSpec
    ) -> None:
        check_name(name)
        self._transport = transport
        self._scripts = scripts
        self._images = images
        self._owner = owner
        self._name = name
        self._spec = spec
        self._choices = check_spec(spec)

    async def run(self, on_progress: OnProgress) -> Instance:
        """Make the VM, or return the one that is there.

        Raises `NameTaken`, `ImageNotFound`, `OutOfResources`, `InvalidInput`.
        """
        files = self._build_files(await self._read_user_data())
        try:
            found = await self._make(files)
        except ImageNotFound:
            if not is_address(self._spec.image):
                raise
            await self._images.pull(self._spec.image, on_progress, sha256=self._choices.sha256)
            found = await self._make(files)
        self._check_same(found)
        return found.show()

    async def _make(self, files: bytes) -> Found:
        """The VM made, or whatever stands under its name."""
        spec, choices = self._spec, self._choices
        output = await self._scripts.run(
            f"create {self._name}",
            CREATE,
            self._owner,
            self._name,
            NOTHING if spec.image == NO_IMAGE else _locate(spec.image),
            str(spec.disk_bytes or NOTHING),
            " ".join(map(str, choices.disks)) or NOTHING,
            _locate(choices.kernel) if choices.kernel else NOTHING,
            _locate(choices.initrd) if choices.initrd else NOTHING,
            choices.firmware,
            choices.arch or NOTHING,
            choices.sha256 or NOTHING,
            input=files,
            timeout_seconds=CREATE_SECONDS,
        )
        return parse_found(output)[0]

    def _check_same(self, found: Found) -> None:
        ours = found.record.owner == self._owner
        if ours and found.record.spec == spec_hash(self._spec):
            return
        whose = "of ours, made from another spec" if ours else "that isn't ours"
        raise NameTaken(
            f"can't create {self._name} on node {self._scripts.node}: there is a VM {self._name} {whose}",
            hint="Remove it, or choose another name.",
        )

    async def _read_user_data(self) -> str | None:
        """The option's text, or what stands in the node's file that it names."""
        given = self._choices.user_data
        if given is None or not given.startswith("/"):
            return given
        result = await self._transport.run(["cat", given])
        text = result.stdout.decode(errors="replace")
        if result.exit_status:
            raise InvalidInput(f"options.user_data: the node has no file {given} that can be read")
        try:
            parse_type(text)
        except ValueError as exc:
            raise InvalidInput(f"options.user_data: {given} {exc}") from exc
        return text

    def _build_files(self, user_data: str | None) -> bytes:
        key, host_key, instance_id = generate_key(), generate_key(), secrets.token_hex(6)
        spec, choices = self._spec, self._choices
        record = build_record(self._owner, self._name, instance_id, spec, choices, host_key.public)
        config = build_cloud_config(choices.user, key, host_key, spec.env)
        return build_tar(
            {
                "record": msgspec.json.encode(record) + b"\n",
                "owner": f"{self._owner}\n".encode(),
                "id": f"{instance_id}\n".encode(),
                "settings": build_settings(choices).encode(),
                "argv": "".join(f"{word}\n" for word in build_argv(self._name, instance_id, spec, choices)).encode(),
                "key": key.private.encode(),
                "seed.iso": build_seed(self._name, instance_id, build_user_data(config, user_data)),
            }
        )


def build_record(
    owner: str, name: str, instance_id: str, spec: InstanceSpec, choices: Choices, host_key: str
) -> Record:
    return Record(
        name=name,
        id=instance_id,
        owner=owner,
        spec=spec_hash(spec),
        image=spec.image,
        labels=spec.labels,
        env=spec.env,
        memory_bytes=spec.memory_bytes or DEFAULT_MEMORY_BYTES,
        accel=choices.accel,
        user=choices.user,
        host_key=host_key,
        boot_seconds=choices.boot_timeout,
        created_at=time.time(),
    )


def build_tar(files: Mapping[str, bytes]) -> bytes:
    """Build a tar of files that their owner alone may read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _locate(image: str) -> str:
    """As the script takes it: a path, or the key of an image in the store."""
    return image if image.startswith("/") else image_key(image)
