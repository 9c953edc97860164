"""The one list of models: every public name of the modules, under the module that defines it."""

import ast
from pathlib import Path

from vendetta import models

FOLDER = Path(models.__file__).parent


def defined_names(path: Path) -> set[str]:
    """The classes and constants that a file defines at its top, without private ones."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_the_list_names_what_the_modules_define() -> None:
    listed = {module: set(names.split()) for module, names in models.MODULES.items()}
    assert listed == {path.stem: defined_names(path) for path in FOLDER.glob("*.py") if path.stem != "__init__"}


def test_every_name_can_be_imported() -> None:
    for names in models.MODULES.values():
        assert all(hasattr(models, name) for name in names.split())
    assert not hasattr(models, "Nothing")
