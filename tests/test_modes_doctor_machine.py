"""What ``--doctor`` asks of a container, and of a Python that is too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemo.modes import doctor, doctor_machine


@pytest.mark.parametrize(
    ("files", "free", "whole"),
    [
        ({}, 6, 8),  # no container
        ({"memory.max": "max", "memory.current": "5"}, 6, 8),
        ({"memory.max": f"{4 << 30}", "memory.current": f"{3 << 30}"}, 1, 4),
        ({"memory.max": f"{4 << 30}"}, 4, 4),
        ({"memory.max": f"{7 << 30}", "memory.current": f"{0 << 30}"}, 6, 7),  # the machine itself has less
        ({"memory.max": f"{4 << 30}", "memory.current": f"{5 << 30}"}, 0, 4),
        # files that were read count as used, but make way
        ({"memory.max": f"{4 << 30}", "memory.current": f"{3 << 30}", "memory.stat": f"inactive_file {1 << 30}"}, 2, 4),
    ],
)
def test_free_memory_is_what_the_container_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], free: int, whole: int
) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: {8 << 20} kB\nMemAvailable: {6 << 20} kB\n")
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(doctor_machine, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(doctor_machine, "CONTAINER", tmp_path)
    assert doctor_machine.free_memory() == (free * doctor_machine.GIB, whole * doctor_machine.GIB)


def test_a_python_that_is_too_old_is_asked_in_words_that_it_knows() -> None:
    assert "-P" in doctor._command(3)
    old = doctor._command(3, (3, 10))
    assert "-P" not in old
    assert old[-1] == doctor._command(3)[-1] == "from stemo.modes.doctor import answer; answer(3)"
