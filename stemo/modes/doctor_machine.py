"""What ``--doctor`` asks of the machine: packages, processors, memory, places to write, camera and display."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import math
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from stemo.chatter import silence_openvino
from stemo.faces.inner_networks import X86
from stemo.modes.doctor import Check, Trouble
from stemo.processors import available_processors, container_processors

PYTHON = (3, 11)
GIB = 1 << 30
LEAST_MEMORY = 1.5  # GiB free: --video takes about one
LEAST_DISK = 0.5  # GiB free
RUNS = Path("runs")
MEMORY = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")

# import name -> what pip calls it, as in pyproject.toml
LOADED = {
    "torch": "torch>=2.6",
    "mediapipe": "mediapipe>=1.0",
    "ai_edge_litert": "ai-edge-litert>=1.4",
    "cv2": "opencv-python>=4.10",
    "av": "av>=17",
}
SMALL = {
    "einops": "einops>=0.8",
    "numpy": "numpy>=1.26",
    "PIL": "pillow>=10",
    "yaml": "pyyaml>=6",
    "safetensors": "safetensors>=0.5",
    "tqdm": "tqdm>=4.66",
}
TRAINING = {
    "torchvision": "torchvision>=0.21",
    "sklearn": "scikit-learn>=1.5",
    "matplotlib": "matplotlib>=3.9",
    "tensorboard": "tensorboard>=2.18",
}
NAMES = {"cv2": "opencv"}
# shared libraries that bare systems lack -> the packages of Debian and Ubuntu that hold them
SYSTEM = {"libGLES": "libgles2", "libEGL": "libegl1", "libGL.": "libgl1", "libg": "libglib2.0-0"}


def machine_checks() -> list[Check]:
    """The checks of this file, in the order of their lines."""
    return [
        Check("python", python_version, needed=True, mend="install Python 3.11 or newer, and stemo into it"),
        Check("stemo", stemo_version, needed=True),
        *(
            Check(NAMES.get(name, name), partial(loaded, name, requirement), True, f"pip install '{requirement}'")
            for name, requirement in LOADED.items()
        ),
        *_faster(),
        Check("onnxruntime", partial(loaded, "onnxruntime", "onnxruntime>=1.20"), mend="pip install onnxruntime"),
        Check("other packages", partial(installed, SMALL), True, _install(SMALL.values())),
        Check("ultralytics", partial(installed, {"ultralytics": "ultralytics>=8.3"}), mend="pip install ultralytics"),
        Check("for --format parquet", partial(installed, {"pyarrow": "pyarrow>=17"}), mend="pip install pyarrow"),
        Check("for --train", partial(installed, TRAINING), mend=_install(TRAINING.values())),
        Check("device", device),
        Check("memory", memory, mend="close other programs, or give --faces 1"),
        Check("write: this folder", partial(writable, Path()), True, "cd ~"),
        Check("write: runs/", partial(writable, RUNS), mend="cd ~"),
        Check("write: temporary files", temporary, mend="export TMPDIR=FOLDER (one that can be written to)"),
        Check("camera", camera, mend="plug a camera in; in a container add --device /dev/video0", patience=20.0),
        Check("display", display, mend="export DISPLAY=:0, or run --realtime with --no-window", patience=30.0),
    ]


def _faster() -> list[Check]:
    """What follows faces in less time, where this processor can run it so."""
    if platform.machine().lower() not in X86:
        return []
    return [Check("openvino", openvino, mend="pip install 'openvino>=2025.0'")]


def openvino() -> str:
    """The version of OpenVINO, which is imported without a word to its makers; raises Trouble as :func:`loaded`."""
    silence_openvino()
    return loaded("openvino", "openvino>=2025.0")


def python_version() -> str:
    """The interpreter's version and place."""
    if sys.version_info < PYTHON:
        raise Trouble(f"{platform.python_version()} is too old: expected {'.'.join(map(str, PYTHON))} or newer")
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"


def stemo_version() -> str:
    """The version of stemo, and where it runs from."""
    import stemo

    return f"{stemo.__version__}, {Path(stemo.__file__ or '').parent}"


def loaded(name: str, requirement: str) -> str:
    """The version of a package, which is imported; raises Trouble where it is missing, too old or does not load."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise Trouble("is not installed") from error
        raise
    except ImportError as error:
        raise Trouble(f"does not load: {error}", _system_package(str(error))) from error
    version = str(getattr(module, "__version__", "")) or _version(requirement)
    _check_age(version, requirement)
    ffmpeg = getattr(module, "ffmpeg_version_info", None)
    return f"{version}, FFmpeg {ffmpeg}" if ffmpeg else version


def installed(packages: dict[str, str]) -> str:
    """The versions of packages (import name -> requirement), which are not imported."""
    missing = [requirement for name, requirement in packages.items() if not _is_there(name)]
    if missing:
        raise Trouble(f"not installed: {', '.join(_project(each) for each in missing)}", _install(missing))
    versions = {requirement: _version(requirement) for requirement in packages.values()}
    for requirement, version in versions.items():
        _check_age(version, requirement)
    return ", ".join(f"{_project(requirement)} {version}" for requirement, version in versions.items())


def device() -> str:
    """The processors that this process may use, and the graphics that torch sees."""
    import torch

    count = available_processors()
    why = " (the container's limit)" if count == container_processors() else ""
    found = [f"{count} of {os.cpu_count()} processors{why}"]
    if torch.cuda.is_available():
        found += [f"cuda:{place} {torch.cuda.get_device_name(place)}" for place in range(torch.cuda.device_count())]
    else:
        found.append("no CUDA")
    found.append("MPS" if torch.backends.mps.is_available() else "no MPS")
    return ", ".join(found)


def memory() -> str:
    """Free and whole memory in GiB."""
    free, whole = free_memory()
    words = f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free"
    if free < LEAST_MEMORY * GIB:
        raise Trouble(f"{words}: expected {LEAST_MEMORY:g}")
    return words


def free_memory() -> tuple[float, float]:
    """Bytes free and altogether, where the system or the container's limit tells; raises Trouble elsewhere."""
    try:
        lines = (line.split() for line in MEMORY.read_text().splitlines())
        sizes = {words[0]: int(words[1]) * 1024.0 for words in lines if len(words) > 1}
        free, whole = sizes["MemAvailable:"], sizes["MemTotal:"]
    except (OSError, KeyError):
        raise Trouble("this system does not tell how much is free", "") from None
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
        raise Trouble(f"{place} has {free / GIB:.2f} GiB free: expected {LEAST_DISK:g}", f"df -h {_quoted(place)}")
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
            raise Trouble("none: no /dev/video*")
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
        raise Trouble(f"{expected.partition('expected ')[2]} is missing: {got.partition('. Add')[0]}") from error
    named = [f"{name}={os.environ[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    return f"accepts windows{' on ' + ', '.join(named) if named else ''}"


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


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _check_age(version: str, requirement: str) -> None:
    least = requirement.partition(">=")[2]
    if _numbers(version) < _numbers(least):
        raise Trouble(f"{version} of {_project(requirement)} is too old: expected {least}", _install([requirement]))


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, ``2.6.0+cpu`` -> (2, 6, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else (sys.maxsize,)


def _version(requirement: str) -> str:
    try:
        return importlib.metadata.version(_project(requirement))
    except importlib.metadata.PackageNotFoundError:  # the same package under another name, such as opencv's headless
        return "of unknown version"


def _project(requirement: str) -> str:
    return requirement.partition(">=")[0]


def _install(requirements: Iterable[str]) -> str:
    return "pip install " + " ".join(f"'{each}'" for each in requirements)


def _system_package(words: str) -> str | None:
    """The command that installs the shared library an import lacks, where it is a usual one."""
    lacking = [package for part, package in SYSTEM.items() if part in words]
    return f"sudo apt-get install -y {lacking[0]}" if lacking else None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
