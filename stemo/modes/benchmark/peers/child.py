"""What runs in a tool's own Python: reads clips or faces as its job says, and answers in lines of JSON.

    python -I child.py JOB.json

Nothing but the standard library, and OpenCV for reading frames, is imported here: the tool's reader, a file with a
class ``Reader``, brings the rest. Either ``Reader.read(picture)`` gives the faces of one BGR picture as pairs of box
and shares by emotion, or ``Reader.read_clip(clip, rows, limit)`` does the whole of a clip by itself.
``Reader.guess(face)`` names the emotion of a cropped face, RGB.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def main() -> int:
    """Do the job, or answer with the problem."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the tool prints is no answer

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        do(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says it
        answer(problem=f"{type(error).__name__}: {error}")
        return 1
    return 0


def do(job: dict[str, Any], answer: Any) -> None:
    """Answer the parts of a job that are there: ``versions`` of packages, then ``clips``, then ``faces``."""
    if "versions" in job:
        answer(python=platform.python_version(), versions={name: version(name) for name in job["versions"]})
    if "reader" not in job:
        return
    sys.path += job.get("paths", [])
    reader = load(job["reader"], job.get("given", {}))
    for clip in job.get("clips", []):
        answer(clip=clip, **read_clip(reader, clip, job["rows"], job["warm_up"]))
    if "faces" in job:
        answer(guesses=guess(reader, job["faces"]))
    answer(peak_memory_mb=peak_memory())


def version(package: str) -> str | None:
    """The version of a package, ``None`` where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def load(path: str, given: dict[str, Any]) -> Any:
    """The ``Reader`` of the file at ``path``, made of what is ``given``."""
    spec = importlib.util.spec_from_file_location("reader", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Reader(**given)


def read_clip(reader: Any, clip: str, rows: str, warm_up: int) -> dict[str, Any]:
    """Frames, rows, rows with a face, and seconds from the first frame to the closed file of rows.

    The first ``warm_up`` frames are read once before the clock starts.
    """
    read = getattr(reader, "read_clip", None) or (lambda *what: over_frames(reader, *what))
    read(clip, rows, warm_up)
    return read(clip, rows, None)


def over_frames(reader: Any, clip: str, rows: str, limit: int | None) -> dict[str, Any]:
    """Read the first ``limit`` frames of ``clip`` one by one; write a row for each face, or one for none."""
    import cv2

    capture = cv2.VideoCapture(clip)
    frames = lines = faces = 0
    started = time.perf_counter()
    with open(rows, "w", encoding="utf-8") as file:
        for index in range(limit) if limit else itertools.count():
            there, picture = capture.read()
            if not there:
                break
            found = reader.read(picture)
            for box, shares in found or [(None, None)]:
                file.write(json.dumps({"frame": index, "box": box, "shares": shares}) + "\n")
                lines += 1
            frames, faces = frames + 1, faces + len(found)
    return {"frames": frames, "rows": lines, "faces": faces, "seconds": time.perf_counter() - started}


def guess(reader: Any, path: str) -> list[str]:
    """The emotion of every face (h w 3), RGB uint8, of an npz file: arr_0, arr_1 and so on."""
    import numpy as np

    with np.load(path, allow_pickle=False) as faces:
        return [reader.guess(faces[f"arr_{number}"]) for number in range(len(faces.files))]


def peak_memory() -> float | None:
    """The most memory that this process held, in MB; ``None`` where the system does not say."""
    if not STATUS.is_file():
        return None
    peaks = [line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) / 1024 if peaks else None


if __name__ == "__main__":
    sys.exit(main())
