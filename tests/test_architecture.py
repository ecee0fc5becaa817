"""Imports run downstairs only: commands and doors, service, labeling and learning, the ground floor."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path("timeseries_segmenter")
GROUND_FLOOR = {"errors", "segment", "settings", "example_settings"}
BETWEEN = {"evaluation", "export"}  # they use both wings and serve whoever is upstairs
UPSTAIRS = {"__main__", "file_commands", "report_command", "service_commands"}
PAGE = Path("docs/architecture.md")
OF_THE_OUTSIDE = {
    "flask",
    "label_studio_ml",
    "label_studio_sdk",
    "requests",
    "httpx",
    "redis",
    "rq",
    "gunicorn",
    "waitress",
}


def module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in [*PACKAGE.rglob("*.py"), Path("model.py"), Path("_wsgi.py")]}


def imports(path: Path) -> set[str]:
    """All that a file imports, wherever in it: modules of this project in full, others by their package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & MODULES.keys()) or {str(node.module)}
    return {name if name in MODULES else name.partition(".")[0] for name in found}


def room(name: str) -> str:
    """`labeling`, `learning`, `service`, or the module itself on the other floors."""
    return name.partition(".")[2].partition(".")[0] or name


def rooms_used(name: str) -> set[str]:
    return {room(other) for other in imports(MODULES[name]) if other in MODULES and other != PACKAGE.name}


def of_room(wanted: str) -> list[str]:
    found = sorted(name for name in MODULES if room(name) == wanted)
    assert len(found) > 5
    return found


@pytest.mark.parametrize("wing", ["labeling", "learning"])
def test_a_wing_imports_itself_and_the_ground_floor_alone(wing: str) -> None:
    for name in of_room(wing):
        assert rooms_used(name) <= {wing, "errors", "segment"}, name


def test_the_wings_know_nothing_of_the_outside_world() -> None:
    for name in [*of_room("labeling"), *of_room("learning")]:
        assert imports(MODULES[name]).isdisjoint(OF_THE_OUTSIDE | {"logging", "os"}), name
    for name in of_room("labeling"):
        assert imports(MODULES[name]).isdisjoint({"torch", "sklearn"}), name


def test_the_ground_floor_imports_nothing_above_it() -> None:
    for name in GROUND_FLOOR:
        assert rooms_used(f"{PACKAGE.name}.{name}") <= GROUND_FLOOR, name
    for name in BETWEEN:
        assert rooms_used(f"{PACKAGE.name}.{name}") <= GROUND_FLOOR | {"labeling", "learning"}, name


def test_the_service_imports_no_command_and_no_door() -> None:
    for name in of_room("service"):
        assert rooms_used(name) <= GROUND_FLOOR | BETWEEN | {"labeling", "learning", "service"}, name


def test_settings_are_read_from_the_environment_in_one_place() -> None:
    readers = {name for name, path in MODULES.items() if "os.environ" in path.read_text()}
    assert readers == {f"{PACKAGE.name}.settings"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: imports(path) & MODULES.keys() - {PACKAGE.name} for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 200
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_every_room_and_module_on_the_architecture_page_exists() -> None:
    text = PAGE.read_text()
    named = set(re.findall(r"`([\w/]+\.py|[\w/]+/)`", text))
    assert len(named) > 30
    roots = [Path(), PACKAGE, PACKAGE / "service"]
    assert sorted(name for name in named if not any((root / name).exists() for root in roots)) == []


def test_every_module_upstairs_and_every_room_is_on_the_architecture_page() -> None:
    text = PAGE.read_text()
    rooms = {"labeling/", "learning/", "service/", "service/report/"}
    upstairs = {f"{name}.py" for name in GROUND_FLOOR | BETWEEN | UPSTAIRS} | {"model.py", "_wsgi.py"}
    assert sorted(name for name in rooms | upstairs if f"`{name}`" not in text) == []
