"""What ``--doctor`` says of processors and graphics: those that are used, and one that could be."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stemo.modes.doctor import Trouble, by_system
from stemo.processors import available_processors, container_processors

DRIVER = Path("/proc/driver/nvidia/gpus")  # what the driver knows, also where this container may not use it
BUS = Path("/sys/bus/pci/devices")  # what lspci reads
NVIDIA, GRAPHICS = "0x10de", "0x03"
PATIENCE = 20.0  # seconds that the driver has to answer
TORCH = "pip install --force-reinstall torch torchvision"
CUDA_12 = f"{TORCH} --index-url https://download.pytorch.org/whl/cu126"  # for all drivers since the end of 2022


@dataclass(frozen=True, slots=True)
class Card:
    """An NVIDIA card: its name, and the command that makes it usable to a torch that knows CUDA."""

    name: str
    mend: str


def device() -> str:
    """The processors that this process may use, and the graphics that torch sees.

    Raises Trouble where there is an NVIDIA card that torch does not see.
    """
    import torch

    count = available_processors()
    why = " (the container's limit)" if count == container_processors() else ""
    found = [f"{count} of {os.cpu_count()} processors{why}"]
    if torch.cuda.is_available():
        found += [f"cuda:{place} {torch.cuda.get_device_name(place)}" for place in range(torch.cuda.device_count())]
    else:
        found.append("no CUDA")
    found.append("MPS" if torch.backends.mps.is_available() else "no MPS")
    words = ", ".join(found)
    if not torch.cuda.is_available():
        _check_card(words, torch.__version__, torch.version.cuda)
    return words


def nvidia_card() -> Card | None:
    """The first NVIDIA card of this machine, with a driver or without; ``None`` where there is none to be seen."""
    if name := _usable():
        return Card(name, CUDA_12)
    if name := _known():
        return Card(name, "docker run --gpus all, or what gives the card to this container")
    return Card("an NVIDIA card", _driver()) if _on_the_bus() else None


def _check_card(words: str, version: str, cuda: str | None) -> None:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return  # hidden on purpose
    card = nvidia_card()
    if card is None:
        return
    if cuda is None:
        built = by_system(TORCH, TORCH, CUDA_12)  # for Windows, PyPI has none with CUDA
        raise Trouble(f"{words}; {card.name} is not used: torch {version} is made for CPUs alone", built)
    raise Trouble(
        f"{words}; {card.name} is not used: its driver does not serve torch {version}, CUDA {cuda}", card.mend
    )


def _usable() -> str:
    """The card that the driver gives to this process, by its name."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
    named = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return named[0].partition(": ")[2].partition(" (UUID")[0] if named else ""


def _known() -> str:
    """The card that a driver of this system has, by its name."""
    for file in sorted(DRIVER.glob("*/information")):
        for line in _text(file).splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def _on_the_bus() -> bool:
    """Whether such a card is plugged in, with a driver or without."""
    places = BUS.glob("*")
    return any(
        _text(place / "vendor").strip() == NVIDIA and _text(place / "class").startswith(GRAPHICS) for place in places
    )


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _driver() -> str:
    """Linux alone gets here."""
    ubuntu = shutil.which("ubuntu-drivers") is not None
    return f"sudo {'ubuntu-drivers install' if ubuntu else 'apt-get install -y nvidia-driver'}, then restart"
