"""The packages that an export needs and stemo otherwise does without."""

from __future__ import annotations

from importlib.util import find_spec

from stemo.errors import ConfigError

ONNX = ("onnx", "onnxscript")
PACKAGES = {"onnx": ONNX, "int8": ONNX, "executorch": ("executorch",)}


def check_packages(name: str) -> None:
    """Raise :class:`ConfigError` where a package is missing that ``--export name`` needs."""
    needed = PACKAGES.get(name, ())
    if missing := [package for package in needed if find_spec(package) is None]:
        raise ConfigError(
            f"export {name!r} lacks the package {missing[0]!r}: expected it installed, got none. "
            f"pip install {' '.join(needed)}"
        )
