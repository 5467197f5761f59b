"""The rules of the house that a machine can check: who may import whom, and what importing may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "stemo"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST, LONGEST_TEST = 320, 320  # lines

STAGES = ("capture", "faces", "network", "insight", "output")
GROUND = frozenset({"records", "errors"})
SETUP = GROUND | {"config", "assets", "processors", "chatter"}
# what each room may import besides itself; a room that is not listed here is not part of the house
MAY_IMPORT: dict[str, frozenset[str]] = {
    "records": frozenset(),
    "errors": frozenset(),
    "config": GROUND,
    "assets": GROUND,
    "processors": frozenset(),
    "chatter": frozenset(),
    **dict.fromkeys(STAGES, SETUP),
    "pipeline": GROUND | set(STAGES),
    "recognizer": SETUP | {*STAGES, "pipeline"},
    "training": SETUP | {*STAGES, "pipeline", "recognizer"},
    "server": SETUP | {*STAGES, "pipeline", "recognizer"},
    "modes": SETUP | {*STAGES, "pipeline", "recognizer", "training", "server"},
    "arguments": GROUND,
    "cli": SETUP | {"arguments", "modes", "server", "training"},
    "__init__": GROUND | {"recognizer"},
}
DOORS = {
    "mediapipe": {"faces/landmarks.py"},
    "ai_edge_litert": {"faces/inner_networks.py"},
    "openvino": {"faces/inner_networks.py"},
    "ultralytics": {"faces/yolo.py", "training/detector.py"},
    "av": {"capture", "output/video.py", "output/pieces.py", "output/sound.py"},
    "fastapi": {"server"},
    "uvicorn": {"server"},
    "tensorboard": {"training"},
    "sklearn": {"training"},
    "matplotlib": {"training"},
    "executorch": {"network/executorch_file.py"},
    "ray": {"modes/batch/ray_cluster.py"},
}
PURE = ("cv2", "PIL", "av", "mediapipe", "pathlib", "yaml")  # what the network knows nothing of
PURE_BUT = {
    "checkpoint.py",
    "executorch_file.py",
    "export.py",
    "exported.py",
    "int8.py",
    "quantising.py",
    "torch_file.py",
}  # weights are files
BANNED = ("utils", "util", "helpers", "helper", "common", "misc", "legacy")
HEAVY = ("torch", "torchvision", "cv2", "mediapipe", "ultralytics", "fastapi", "av", "pandas", "matplotlib", "PIL")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """``stemo.faces.tracking`` -> faces; ``stemo`` itself -> __init__."""
    return [*name.split("."), "__init__"][1]


def imports(path: Path, *, typing: bool = True, lazy: bool = True) -> Iterator[str]:
    """Full names of what a file imports; without ``typing`` those for checkers, without ``lazy`` those in functions."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), typing, lazy)


def _imports(node: ast.AST, typing: bool, lazy: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif not _is_left_out(node, typing, lazy):
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, typing, lazy)


def _is_left_out(node: ast.AST, typing: bool, lazy: bool) -> bool:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return not typing
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy


def house(path: Path, **which: bool) -> set[str]:
    """The modules of stemo that a file imports."""
    known = {module(file) for file in FILES}
    found = set()
    for name in imports(path, **which):
        if name.partition(".")[0] == "stemo":
            found.add(name if name in known else name.rpartition(".")[0])
    return found - {module(path)}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_dependencies_point_one_way(path: Path) -> None:
    here = room(module(path))
    assert here in MAY_IMPORT, f"{here} has no place in the order of the house"
    for name in house(path):
        there = room(name)
        # anyone may take the version or a public name from the package's front
        assert there in {here, "__init__"} | MAY_IMPORT[here], f"{name_of(path)} imports {name}"


def test_the_order_itself_has_no_cycle() -> None:
    assert not cycle({name: set(others) for name, others in MAY_IMPORT.items()})


@pytest.mark.slow
def test_no_import_cycle() -> None:
    graph = {module(path): house(path, typing=False, lazy=False) - {"stemo"} for path in FILES}
    assert not cycle(graph), " -> ".join(cycle(graph))


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of a graph, or nothing."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := walk(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def test_the_cycle_search_finds_cycles() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_have_one_door(path: Path) -> None:
    name = name_of(path)
    for imported in imports(path):
        doors = DOORS.get(imported.partition(".")[0])
        open_here = doors is None or any(name == door or name.startswith(door + "/") for door in doors)
        assert open_here, f"{name} imports {imported}: only {doors} may"


@pytest.mark.parametrize("path", sorted((PACKAGE / "network").glob("*.py")), ids=name_of)
def test_the_network_is_pure_tensors(path: Path) -> None:
    if path.name in PURE_BUT:
        pytest.skip("weights are files")
    assert not {name.partition(".")[0] for name in imports(path)} & set(PURE)


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").glob("*.py"))], ids=lambda path: path.name)
def test_rooms_are_small_and_well_named(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= (LONGEST if path in FILES else LONGEST_TEST), f"{path} has {lines} lines"
    assert not set(path.stem.split("_")) & {*BANNED, "old", "v2", "v3"}, f"{path.stem} says nothing of what is in it"
    assert not set(path.parts[len(ROOT.parts) : -1]) & set(BANNED)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"


def python(code: str, folder: Path) -> str:
    """Run ``code`` in a new interpreter, in an empty ``folder``; returns what it printed."""
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


LOADED = f"print(','.join(name for name in {HEAVY} if name in sys.modules))"


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
from stemo.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
print("loaded:", end="")
{LOADED}
"""
    text = python(code, tmp_path)
    assert "--video" in text
    assert text.strip().endswith("loaded:")


def test_the_doctor_can_come_where_numpy_is_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['numpy'] = None; import stemo.cli, stemo.modes.doctor; print('here')"
    assert python(code, tmp_path).strip() == "here"


def test_a_wrong_flag_loads_nothing_heavy(tmp_path: Path) -> None:
    assert python(f"from stemo.cli import main\nassert main(['--vidio', 'x']) == 2\n{LOADED}", tmp_path).strip() == ""


def test_importing_does_nothing(tmp_path: Path) -> None:
    code = f"""
import logging, os, threading, warnings
import numpy  # adds warning filters of its own
before = (dict(os.environ), list(warnings.filters), list(logging.root.handlers), threading.active_count())
import stemo, stemo.capture, stemo.faces, stemo.network, stemo.insight, stemo.output, stemo.pipeline, stemo.cli
import stemo.config, stemo.assets
after = (dict(os.environ), list(warnings.filters), list(logging.root.handlers), threading.active_count())
assert before == after
{LOADED}
"""
    assert python(code, tmp_path).strip() == ""
    assert list(tmp_path.iterdir()) == []


def test_the_public_names_are_there() -> None:
    import stemo

    for name in stemo.__all__:
        assert getattr(stemo, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Recogniser'"):
        _ = stemo.Recogniser  # type: ignore[attr-defined]
