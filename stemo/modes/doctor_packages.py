"""What ``--doctor`` asks of the packages: are they there, new enough, and do they load?"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from stemo.chatter import silence_openvino
from stemo.modes.doctor import Check, Trouble, by_system
from stemo.processors import is_x86

PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parents[2]

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
ULTRALYTICS, PARQUET = {"ultralytics": "ultralytics>=8.3"}, {"pyarrow": "pyarrow>=17"}
# the extras: what nobody misses who does not use the flag
OPTIONAL = {
    "--engine ray": {"ray": "ray>=2.40"},
    "--export onnx": {"onnx": "onnx>=1.17", "onnxscript": "onnxscript>=0.5"},
    "--export executorch": {"executorch": "executorch>=1.0"},
}
NAMES = {"cv2": "opencv"}
# shared libraries that bare systems lack -> the packages that hold them: of Debian and Ubuntu, and of Fedora
SYSTEM = {
    "libGLES": ("libgles2", "mesa-libGLES"),
    "libEGL": ("libegl1", "mesa-libEGL"),
    "libGL.": ("libgl1", "mesa-libGL"),
    "libg": ("libglib2.0-0", "glib2"),
}


def package_checks() -> list[Check]:
    """The checks of this file, in the order of their lines."""
    return [
        Check("python", python_version, True, _newer_python()),
        Check("stemo", stemo_version, True, _install_here()),
        *(
            Check(NAMES.get(name, name), partial(loaded, name, needed), True, again([needed]))
            for name, needed in LOADED.items()
        ),
        *_faster(),
        Check("onnxruntime", partial(loaded, "onnxruntime", "onnxruntime>=1.20"), mend=again(["onnxruntime>=1.20"])),
        Check("other packages", partial(installed, SMALL), True, again(SMALL.values())),
        Check("ultralytics", partial(installed, ULTRALYTICS), mend=again(ULTRALYTICS.values())),
        Check("for --format parquet", partial(installed, PARQUET), mend=again(PARQUET.values())),
        Check("for --train", partial(installed, TRAINING), mend=again(TRAINING.values())),
        *(
            Check(f"for {flag}", partial(optional, flag, packages), mend=again(packages.values()))
            for flag, packages in OPTIONAL.items()
        ),
    ]


def _faster() -> list[Check]:
    """What follows faces in less time, where this processor can run it so."""
    return [Check("openvino", openvino, mend=again(["openvino>=2025.0"]))] if is_x86() else []


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
            raise Trouble("is not installed", _install([requirement])) from error
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


def optional(flag: str, packages: dict[str, str]) -> str:
    """The same of packages that only ``flag`` needs: that they are missing is no trouble."""
    missing = [requirement for name, requirement in packages.items() if not _is_there(name)]
    if missing:
        return f"not installed (only for {flag}): {_install(packages.values())}"
    return installed(packages)


def again(requirements: Iterable[str]) -> str:
    """The command for packages that are there, and broken."""
    return _install(requirements, "--force-reinstall ")


def reinstall() -> str:
    """The command that brings stemo's own files back, from where they came."""
    return f"pip install --force-reinstall --no-deps {_origin()}"


def _install_here() -> str:
    return f"pip install {_place()}"


def _newer_python() -> str:
    return f"pip install uv && uv venv --python 3.12 && uv pip install {_place()}"


def _place() -> str:
    """What pip installs this stemo from: the checkout where this is one."""
    return f"-e {shlex.quote(str(ROOT))}" if (ROOT / "pyproject.toml").is_file() else _origin()


def _origin() -> str:
    """The folder or address that stemo was installed from, which pip wrote down, or else its name."""
    facts = _direct_url()
    url, source = str(facts.get("url", "")), facts.get("vcs_info")
    if source:
        return shlex.quote(f"{source['vcs']}+{url}@{source['commit_id']}")
    if url.startswith("file:"):
        return shlex.quote(url2pathname(urlparse(url).path))
    return shlex.quote(url or "stemo")


def _direct_url() -> Mapping[str, Any]:
    try:
        written = importlib.metadata.distribution("stemo").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return {}
    return json.loads(written) if written else {}


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


def _install(requirements: Iterable[str], how: str = "") -> str:
    mark = by_system("'", "'", '"')  # to the shell of Windows a single one is a letter
    return f"pip install {how}" + " ".join(f"{mark}{each}{mark}" for each in requirements)


def _system_package(words: str) -> str | None:
    """The command that installs the shared library an import lacks, where it is a usual one."""
    if "DLL load failed" in words:
        return by_system(None, None, "winget install Microsoft.VCRedist.2015+.x64")
    lacking = [packages for part, packages in SYSTEM.items() if part in words]
    if not lacking:
        return None
    debian, fedora = lacking[0]
    other = shutil.which("apt-get") is None and shutil.which("dnf") is not None
    return f"sudo dnf install -y {fedora}" if other else f"sudo apt-get install -y {debian}"
