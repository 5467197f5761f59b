"""A disk that is full amid a run with ``--resume``, and has room again; for a process that may mount one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from resuming import assert_same, prepare, read, read_with

from stemo.records import Frame

FILLER = Path("disk/filler")


def main() -> None:
    """Go through it in the current folder, in which ``disk`` is that disk; what is not as it should be is raised."""
    with pytest.MonkeyPatch.context() as patch:
        prepare(Path.cwd(), patch)
        assert read("whole") == 0
        read_with(patch, fill)
        assert read("disk/out", "--resume") == 2
        assert FILLER.exists()
        FILLER.unlink()
        read_with(patch)
        assert read("disk/out", "--resume") == 0
        assert_same(Path("disk/out"), Path("whole"))


def fill(frame: Frame) -> None:
    """Leave no room from the 27th frame on, when there are checkpoints already."""
    if frame.index < 26:
        return
    try:
        with FILLER.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return


if __name__ == "__main__":
    main()
