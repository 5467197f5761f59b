"""The README does what it says: its commands parse, and the cheap ones are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from stemo.arguments import build_parser

README = ROOT / "README.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
# what is run; the rest would need the reader's own files, camera or an hour
CHEAP = ([], ["--help"], ["--demo"], ["--export", "onnx"])


def commands() -> Iterator[list[str]]:
    """Every simple command of the bash blocks, split into words; comments and continued lines are understood."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                if words[:end]:
                    yield words[:end]
                words = words[end + 1 :]


def program_calls() -> list[list[str]]:
    """The arguments of every ``python main.py ...`` and ``stemo ...``."""
    calls = []
    for words in commands():
        if "main.py" in words:
            calls.append(words[words.index("main.py") + 1 :])
        elif words[0] == "stemo":
            calls.append(words[1:])
    return calls


CALLS = program_calls()
RUN = [call for call in CALLS if call in CHEAP]


def test_the_readme_shows_how_to_run_stemo() -> None:
    assert ["--demo"] in CALLS
    assert any("install" in words for words in commands())


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_flag_in_the_readme_exists(call: list[str]) -> None:
    if "--help" in call:
        return
    _, unknown = build_parser().parse_known_args(call)
    assert unknown == []


@pytest.mark.parametrize("path", sorted(set(re.findall(r"configs/\w+\.yaml", " ".join(map(str, CALLS))))))
def test_every_config_in_the_readme_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("call", RUN, ids=lambda call: " ".join(call) or "no flags")
def test_the_cheap_commands_run(call: list[str], tmp_path: Path) -> None:
    if "--demo" in call:
        from stemo.network.checkpoint import SHIPPED

        if not SHIPPED.exists():
            pytest.skip(f"needs the shipped weights, {SHIPPED.name}")
    command = [sys.executable, str(ROOT / "main.py"), *call]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    if "--demo" in call:
        made = {path.name for path in (tmp_path / "demo").iterdir()}
        assert {"demo.mp4", "demo_results.json", "demo_meta.json", "demo_contact.png"} <= made
    if "--export" in call:
        made = {path.name for path in (tmp_path / "export").iterdir()}
        assert {"stemo_base_step.onnx", "stemo_base_clip.onnx", "stemo_base_step.onnx.json"} <= made
