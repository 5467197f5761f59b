"""What ``--doctor`` asks of the machine: memory, places to write, camera and display."""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from stemo.modes.doctor import Check, Trouble, by_system
from stemo.modes.doctor_device import device
from stemo.modes.doctor_packages import LOADED, again

GIB = 1 << 30
LEAST_MEMORY = 1.5  # GiB free: --video takes about one
LEAST_DISK = 0.5  # GiB free
RUNS = Path("runs")
MEMORY = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
NO_CAMERA = "python main.py --realtime --source FILE does without; in a container: docker run --device /dev/video0"


def machine_checks() -> list[Check]:
    """The checks of this file, in the order of their lines."""
    home = by_system("cd ~", "cd ~", "cd %USERPROFILE%")
    return [
        Check("device", device, mend=again([LOADED["torch"]])),
        Check("memory", memory, mend=_less_memory()),
        Check("write: this folder", partial(writable, Path()), True, home),
        Check("write: runs/", partial(writable, RUNS), mend=home),
        Check("write: temporary files", temporary, mend=_temporary_folder()),
        Check("camera", camera, mend=_other_camera(), patience=20.0),
        Check("display", display, mend=_no_window(), patience=30.0),
    ]


def _less_memory() -> str:
    most = "ps -eo rss,comm | sort -n | tail"
    return f"{by_system(most, most, 'tasklist')} shows what to close; or give --faces 1 --batch 1"


def _temporary_folder() -> str:
    posix = "mkdir -p ~/tmp && export TMPDIR=~/tmp"
    return by_system(posix, posix, r"mkdir %USERPROFILE%\tmp & set TEMP=%USERPROFILE%\tmp")


def _other_camera() -> str:
    """For a camera that is there, and gives no picture: somebody has it, or the user has forbidden it."""
    return by_system(
        "fuser -v /dev/video* shows who has it", "tccutil reset Camera", "start ms-settings:privacy-webcam"
    )


def _no_window() -> str:
    without = "python main.py --realtime --no-window"
    return by_system("export DISPLAY=:0, or run --realtime with --no-window", without, without)


def _with_windows() -> str:
    # an OpenCV with windows and one without write the same folder
    without = "opencv-python-headless opencv-contrib-python-headless"
    return f"pip uninstall -y {without} && {again([LOADED['cv2']])}"


def memory() -> str:
    """Free and whole memory in GiB."""
    sizes = free_memory()
    if sizes is None:
        return "this system does not tell how much is free"
    free, whole = sizes
    words = f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free"
    if free < LEAST_MEMORY * GIB:
        raise Trouble(f"{words}: expected {LEAST_MEMORY:g}")
    return words


def free_memory() -> tuple[float, float] | None:
    """Bytes free and altogether, where the system or the container's limit tells (Linux)."""
    try:
        lines = (line.split() for line in MEMORY.read_text().splitlines())
        sizes = {words[0]: int(words[1]) * 1024.0 for words in lines if len(words) > 1}
        free, whole = sizes["MemAvailable:"], sizes["MemTotal:"]
    except (OSError, KeyError):
        return None
    left, limit = _container_memory()
    return max(0.0, min(free, left)), min(whole, limit)


def writable(folder: Path) -> str:
    """Whether a file can be written in ``folder``, or in the nearest folder above it that exists."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise Trouble(f"{place} cannot be written to: {error.strerror}") from error
    free = shutil.disk_usage(place).free
    if free < LEAST_DISK * GIB:
        raise Trouble(f"{place} has {free / GIB:.2f} GiB free: expected {LEAST_DISK:g}", _more_room())
    return f"{place}, {free / GIB:.1f} GiB free"


def temporary() -> str:
    """Whether temporary files can be written; raises Trouble where not."""
    try:
        return writable(Path(tempfile.gettempdir()))
    except FileNotFoundError as error:
        raise Trouble("there is no folder for temporary files that can be written to") from error


def camera() -> str:
    """What the first camera gives. On Linux nothing is opened where there is no device."""
    if sys.platform.startswith("linux"):
        devices = sorted(Path("/dev").glob("video*"))
        if not devices:
            raise Trouble("none: no /dev/video*", NO_CAMERA)
        if not any(os.access(place, os.R_OK | os.W_OK) for place in devices):
            raise Trouble(f"{devices[0]} is not yours to read", "sudo usermod -aG video $USER, then log in again")
    from stemo.capture import Camera

    with Camera(0) as found:
        return f"camera 0 gives {found.info.width}x{found.info.height} at {float(found.info.fps):.4g} frames/s"


def display() -> str:
    """Whether --realtime can show its window."""
    from stemo.errors import OutputError
    from stemo.modes.window import check_display

    try:
        check_display()
    except OutputError as error:
        expected, _, got = str(error).partition(", got ")
        mend = _with_windows() if "OpenCV" in expected else None
        raise Trouble(f"{expected.partition('expected ')[2]} is missing: {got.partition('. Add')[0]}", mend) from error
    named = [f"{name}={os.environ[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    return f"accepts windows{' on ' + ', '.join(named) if named else ''}"


def _more_room() -> str:
    drives = by_system("df -h", "df -h", "Get-PSDrive")
    return f"pip cache purge, or go where there is room: {drives}"


def _container_memory() -> tuple[float, float]:
    """Bytes left of the container's limit, and the limit; infinite where there is none."""
    limit = _size("memory.max", math.inf)
    return limit - _size("memory.current", 0.0) + _given_back(), limit


def _size(name: str, otherwise: float) -> float:
    try:
        return float((CONTAINER / name).read_text())
    except (OSError, ValueError):  # no container, or one without a limit
        return otherwise


def _given_back() -> float:
    """Bytes of files that the container keeps in memory only until somebody needs it."""
    try:
        lines = (CONTAINER / "memory.stat").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("inactive_file "))
