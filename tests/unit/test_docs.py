"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest
from docs.tables import FOLDER, TABLES, fill_in

PAGES = sorted(FOLDER.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_are_fresh(page: Path) -> None:
    assert fill_in(page.read_text()) == page.read_text(), "write them anew with: scripts/docs"


def test_every_table_stands_somewhere() -> None:
    written = "".join(page.read_text() for page in PAGES)
    assert [name for name in TABLES if f"<!-- table {name} -->" not in written] == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (FOLDER.parent / "README.md").read_text()
    assert [page.name for page in PAGES if f"docs/{page.name}" not in readme] == []


SOURCE = FOLDER.parent / "src" / "vendetta"
ARCHITECTURE = (FOLDER / "architecture.md").read_text()


@pytest.mark.parametrize("room", ["coordination", "ssh"])
def test_the_tree_names_every_file_of_the_rooms(room: str) -> None:
    """Each package of the room with its files, and no others; the room's own files are its ground."""
    entries = re.findall(r"^ {2,4}(\w+)/ +(.*\n(?: {19,}.*\n)*)", ARCHITECTURE, re.MULTILINE)
    named = {folder: set(re.findall(r"\w+", text.rpartition(":")[2])) for folder, text in entries}
    for folder in [SOURCE / room, *(path.parent for path in (SOURCE / room).glob("*/__init__.py"))]:
        files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        assert named[folder.name] == files


def test_the_tour_names_only_files_that_are_there() -> None:
    paths = re.findall(r"`([\w/]+/(?:[\w]+\.py)?)`", ARCHITECTURE)
    assert [
        path
        for path in paths
        if not any((top / path).exists() for top in (SOURCE, FOLDER.parent)) and not list(SOURCE.glob(f"*/{path}"))
    ] == []
