"""Images given to a node, built there from a folder, used, and taken away again."""

from pathlib import Path

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node
from tests.testbed.images import build_root

pytestmark = pytest.mark.root


@pytest.fixture
def gpu(vendetta: Vendetta, docker_node: Node) -> None:
    vendetta.add_node("gpu", docker_node)


@pytest.mark.usefixtures("gpu")
def test_an_image_is_pushed_used_and_removed(vendetta: Vendetta, name: str, tmp_path: Path) -> None:
    image = f"{name}:1"
    (tmp_path / "root.tar").write_bytes(build_root())
    pushed = vendetta.json("image", "push", "-p", "docker", "gpu", image, str(tmp_path / "root.tar"))
    assert pushed["name"] == image
    listed = {one["name"]: one for one in vendetta.json("image", "list", "gpu")}
    assert (listed[image]["provider"], listed[image]["id"]) == ("docker", pushed["id"])
    # what is there isn't sent again, and is the same
    assert (
        vendetta.json("image", "push", "-p", "docker", "gpu", image, str(tmp_path / "root.tar"))["id"] == pushed["id"]
    )
    vendetta.create(name, image=image)
    assert vendetta.problem("image", "remove", "-p", "docker", "gpu", image, "--yes", status=4)["code"] == "wrong_state"
    vendetta("workspace", "remove", name, "--force", "--yes")
    vendetta("image", "remove", "-p", "docker", "gpu", image, "--yes")
    vendetta("image", "remove", "-p", "docker", "gpu", image, "--yes")
    assert image not in {one["name"] for one in vendetta.json("image", "list", "gpu")}
    assert list((vendetta.home / "v").rglob("uploads/*")) == []


@pytest.mark.usefixtures("gpu")
def test_an_image_is_built_from_a_folder(vendetta: Vendetta, name: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nARG WHO\nCOPY . /given\nRUN echo built for $WHO\n")
    (tmp_path / "wanted").write_text("wanted\n")
    (tmp_path / "secret.key").write_text("not to be sent\n")
    (tmp_path / ".dockerignore").write_text("*.key\n")
    built = vendetta("image", "build", "-p", "docker", "gpu", f"{name}:1", str(tmp_path), "--build-arg", "WHO=me")
    assert "built for me" in built.stderr
    vendetta.create(name, image=f"{name}:1")
    assert vendetta("workspace", "exec", name, "--", "ls", "/given").stdout.split() == ["Dockerfile", "wanted"]
    vendetta("workspace", "remove", name, "--force", "--yes")
    vendetta("image", "remove", "-p", "docker", "gpu", f"{name}:1", "--yes")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 3\n")
    failed = vendetta.problem("image", "build", "-p", "docker", "gpu", f"{name}:1", str(tmp_path), status=1)
    assert failed["code"] == "build_failed"


@pytest.mark.usefixtures("gpu")
def test_what_is_no_image_or_no_place(vendetta: Vendetta, name: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not an image")
    assert (
        vendetta.problem("image", "push", "-p", "docker", "gpu", name, str(tmp_path / "text"), status=2)["code"]
        == "invalid_input"
    )
    assert (
        vendetta.problem("image", "pull", "-p", "docker", "gpu", "127.0.0.1:1/none", status=1)["code"]
        == "image_not_found"
    )
    assert vendetta.problem("image", "list", "nowhere", status=3)["code"] == "node_not_found"
    assert vendetta.problem("image", "list", "gpu", "-p", "dokcer", status=2)["hint"].startswith("Known providers")
