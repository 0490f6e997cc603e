"""Where things are: rooms in an order, imports that run downward, names that occur once."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = (
    "base",
    "sections",
    "features",
    "models",
    "study",
    "training",
    "evaluation",
    "report",
    "tools",
)
"""From the bottom up: a room may import itself and the rooms before it."""


@pytest.fixture(scope="module")
def library(root) -> Path:
    return root / "src" / "reg2st"


def imported_modules(source: str, module: str) -> Iterator[str]:
    """Full names of what a module's source imports anywhere: lazily and for type checks too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_above(source: str, module: str) -> set[str]:
    """Rooms that a module imports though they lie above its own."""
    height = ROOMS.index(module.split(".")[1])
    imported = [name.split(".") for name in imported_modules(source, module)]
    rooms = {parts[1] for parts in imported if parts[0] == "reg2st" and len(parts) > 1}
    return {room for room in rooms & set(ROOMS) if ROOMS.index(room) > height}


def test_imports_run_downward(library):
    found = {}
    for path in library.glob("*/**/*.py"):
        module = ".".join(path.relative_to(library.parent).with_suffix("").parts)
        if above := rooms_above(path.read_text(), module):
            found[module] = above
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "import reg2st.report.style",
        "from reg2st import report",
        "from reg2st.report import style as looks",
        "from ..report.style import COLOURS",
        "def draw():\n    from reg2st.report.style import COLOURS",
        "if TYPE_CHECKING:\n    from reg2st.report.style import Colours",
    ],
)
def test_an_import_that_runs_upward_is_found(line):
    assert rooms_above(line, "reg2st.models.ridge") == {"report"}
    assert rooms_above(line, "reg2st.report.figures") == set()


def test_every_room_has_its_place_in_the_order(library):
    assert {path.parent.name for path in library.glob("*/__init__.py")} == set(ROOMS)


def test_no_module_stands_beside_the_rooms(library):
    assert [path.name for path in library.glob("*.py")] == ["__init__.py"]


def test_no_two_modules_share_a_name(library):
    names = Counter(path.name for path in library.rglob("*.py") if path.name != "__init__.py")
    assert [name for name, number in names.items() if number > 1] == []


def test_unit_tests_lie_in_folders_named_after_rooms(root):
    folders = {path.parent.name for path in (root / "tests" / "unit").glob("*/test_*.py")}
    assert folders <= set(ROOMS)
    assert folders
