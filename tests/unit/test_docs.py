"""The documentation says what the code does."""

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
