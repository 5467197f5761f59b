"""The tools that stemo is compared with, and what keeps some of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stemo.errors import ConfigError
from stemo.modes.benchmark.peers.children import Answer, ask

HERE = Path(__file__).parent
LIBRARIES = ("tensorflow", "torch", "onnxruntime", "opencv-python", "opencv-contrib-python", "numpy")


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool by its ``package``. Either it has a ``reader`` here, or ``needs`` something that no package carries."""

    package: str
    reader: Path | None = None
    install: str = ""
    needs: str = ""


PEERS = (
    Peer("fer", HERE / "fer_reader.py", "fer==25.10.3 'opencv-python<5' 'opencv-contrib-python<5' 'setuptools<81'"),
    Peer("facex", HERE / "facex_reader.py", "facex==1.1.0 'opencv-contrib-python<5'"),
    Peer("deepface", needs="facial_expression_model_weights.h5 from GitHub"),
    Peer("py-feat", needs="its detectors' weights from the Hugging Face hub"),
    Peer("rmn", needs="its checkpoint from the Hugging Face hub"),
    Peer("hsemotion-onnx", needs="enet_b0_8_best_vgaf.onnx from GitHub"),
    Peer("emotiefflib", needs="its networks from GitHub"),
    Peer("openface-test", needs="the weights of OpenFace 3 from the Hugging Face hub"),
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A tool, its version, the Python that has it, and in words the versions of that and of what does the work."""

    peer: Peer
    version: str
    python: Path
    beside: str = ""


def installed(places: Sequence[Path], peers: Sequence[Peer] = PEERS) -> list[Installed]:
    """Those of ``peers`` with a reader that lie in one of ``places``, each a virtual environment or its Python.

    Raises :class:`ConfigError` for a place that is no Python, or has none of them.
    """
    readable = [peer for peer in peers if peer.reader]
    found: dict[str, Installed] = {}
    for place in places:
        python = python_of(place)
        answer = _look_into(python, place, [peer.package for peer in readable])
        here = [
            Installed(peer, version, python, _beside(answer))
            for peer in readable
            if (version := answer.versions[peer.package])
        ]
        if not here:
            names = ", ".join(peer.package for peer in readable)
            raise ConfigError(f"peers {str(place)!r} has no tool to compare with: expected {names}, got none of them.")
        found |= {tool.peer.package: tool for tool in here}
    return list(found.values())


def python_of(place: Path) -> Path:
    """The Python of a virtual environment, or ``place`` itself. Raises :class:`ConfigError` where there is none."""
    for candidate in (place / "bin" / "python", place / "Scripts" / "python.exe", place):
        if candidate.is_file():
            return candidate.absolute()  # not resolved: the link is what makes the environment
    raise ConfigError(
        f"peers {str(place)!r} is no Python: expected a virtual environment's folder or its python, got "
        f"{'a folder without one' if place.is_dir() else 'nothing there'}. Make one: python -m venv FOLDER"
    )


def missing(found: Sequence[Installed], peers: Sequence[Peer] = PEERS) -> dict[str, str]:
    """Why each of ``peers`` that was not ``found`` could not be run, by its package."""
    there = {tool.peer.package for tool in found}
    return {peer.package: _reason(peer) for peer in peers if peer.package not in there}


def _reason(peer: Peer) -> str:
    if peer.needs:
        return f"could not run: needs a download of {peer.needs}"
    return f"could not run: not given; in a virtual environment of its own, pip install {peer.install}"


def _beside(answer: Answer) -> str:
    there = [f"{name} {answer.versions[name]}" for name in LIBRARIES if answer.versions[name]]
    return ", ".join([f"python {answer.python}", *there])


def _look_into(python: Path, place: Path, packages: Sequence[str]) -> Answer:
    answer = ask(python, {"versions": [*packages, *LIBRARIES]})
    if answer.problem:
        raise ConfigError(f"peers {str(place)!r} cannot be run: expected a Python 3.8 or newer, got {answer.problem}.")
    return answer
