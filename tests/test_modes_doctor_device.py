"""``--doctor`` on graphics: a card that torch does not use is told, with the command that changes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stemo.modes import doctor_device
from stemo.modes.doctor import Check, Finding, examine

TORCH = "pip install --force-reinstall torch torchvision"
LISTED = "GPU 0: NVIDIA H200 (UUID: GPU-0123)\nGPU 1: NVIDIA H200 (UUID: GPU-4567)"


class Machine:
    """A Linux machine without graphics, until something is put in; torch sees none of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setattr(doctor_device, "DRIVER", folder / "driver")
        monkeypatch.setattr(doctor_device, "BUS", folder / "bus")
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def torch(self, cuda: str | None) -> None:
        self._monkeypatch.setattr("torch.__version__", "2.6.0" if cuda else "2.6.0+cpu")
        self._monkeypatch.setattr("torch.version.cuda", cuda)

    def program(self, name: str, text: str = "", code: int = 0) -> None:
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\nprint({text!r})\nraise SystemExit({code})\n")
        path.chmod(0o755)

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.torch(None)
    return made


def seen() -> Finding:
    return examine(Check("device", doctor_device.device))


def test_a_machine_without_graphics_is_well(machine: Machine) -> None:
    machine.program("nvidia-smi", "NVIDIA-SMI has failed", 9)
    machine.put("bus/0/vendor", "0x8086")
    machine.put("bus/0/class", "0x030000")
    machine.put("bus/1/vendor", "0x10de")
    machine.put("bus/1/class", "0x0c0330")  # the USB of such a card
    machine.put("driver/0/else", "Model: none")
    assert (seen().state, seen().mend) == ("ok", "")
    assert "no CUDA" in seen().words


def test_a_card_beside_a_torch_for_cpus_wants_another_torch(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.program("nvidia-smi", LISTED)
    found = seen()
    assert found.state == "warn"
    assert found.words.endswith("; NVIDIA H200 is not used: torch 2.6.0+cpu is made for CPUs alone")
    assert found.mend == TORCH
    monkeypatch.setattr(sys, "platform", "win32")
    assert seen().mend == f"{TORCH} --index-url https://download.pytorch.org/whl/cu126"


def test_a_driver_that_is_too_old_wants_a_torch_for_it(machine: Machine) -> None:
    machine.torch("13.2")
    machine.program("nvidia-smi", LISTED)
    found = seen()
    assert found.words.endswith("; NVIDIA H200 is not used: its driver does not serve torch 2.6.0, CUDA 13.2")
    assert found.mend == f"{TORCH} --index-url https://download.pytorch.org/whl/cu126"


@pytest.mark.parametrize(("cuda", "mend"), [(None, TORCH), ("12.8", "docker run --gpus all")])
def test_a_card_that_the_container_was_not_given_is_seen(machine: Machine, cuda: str | None, mend: str) -> None:
    machine.torch(cuda)
    machine.put("driver/0000:01:00.0/information", "Model: \t\t NVIDIA A100\nIRQ: 7")
    found = seen()
    assert (found.state, found.mend.startswith(mend)) == ("warn", True)
    assert "; NVIDIA A100 is not used: " in found.words


@pytest.mark.parametrize(
    ("ubuntu", "mend"), [(True, "sudo ubuntu-drivers install"), (False, "sudo apt-get install -y nvidia-driver")]
)
def test_a_card_without_a_driver_wants_one(machine: Machine, ubuntu: bool, mend: str) -> None:
    machine.torch("12.8")
    machine.put("bus/0/vendor", "0x10de")
    machine.put("bus/0/class", "0x030200")
    if ubuntu:
        machine.program("ubuntu-drivers")
    assert seen().state == "warn"
    assert seen().mend == f"{mend}, then restart"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_card_that_is_hidden_on_purpose_is_no_trouble(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    machine.program("nvidia-smi", LISTED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert seen().state == "ok"


def test_a_card_that_is_used_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.program("nvidia-smi", LISTED)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _place: "NVIDIA H200")
    assert seen().state == "ok"
    assert "cuda:0 NVIDIA H200" in seen().words
