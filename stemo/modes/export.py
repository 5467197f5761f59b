"""``--export FORMAT``: files that read faces without stemo, each compared with the network before it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemo.config import RecognitionSettings, TrainingSettings, did_you_mean
from stemo.errors import ConfigError, OutputError
from stemo.modes.export_check import Seen, largest_difference, look
from stemo.modes.export_packages import check_packages
from stemo.modes.summary import shipped_or_fresh
from stemo.network.checkpoint import WeightFacts, load_weights
from stemo.network.executorch_file import lowered
from stemo.network.exported import beside
from stemo.network.model import FaceNetwork
from stemo.network.onnx_file import PRECISIONS, description, onnx_model, to_bytes
from stemo.network.standalone import Form, forms
from stemo.network.torch_file import program
from stemo.output.pending import Pending, failed
from stemo.training.report.writing import make_folder

Say = Callable[[str], None]
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "executorch": ".pte"}
PROGRAMS = {"torch": "torch.export program", "executorch": "ExecuTorch program of one face a call"}
LARGEST = 1e-4  # difference in fp32 between a probability, valence or arousal of the file and of the network


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export: a ``format``, a ``precision``, where to, and the ``clip`` to compare on (``None``: the demo's).

    ``output`` is a folder (``None``: export/) or a file's name, to which step, clip or still is added.
    """

    format: str
    precision: str = "fp32"
    output: Path | None = None
    clip: str | None = None
    overwrite: bool = False


def run_export(wanted: Wanted, settings: RecognitionSettings, training: TrainingSettings, say: Say) -> int:
    """Write, compare and describe every form of the network; returns 0.

    Raises :class:`ConfigError` for a format or precision that is not offered, or a package that is missing, and
    :class:`OutputError` where a file cannot be written, or in fp32 differs from the network by more than 1e-4; then
    nothing is left of it.
    """
    check(wanted)
    if settings.weights:
        network, facts = load_weights(Path(settings.weights))
    else:
        network, facts = shipped_or_fresh(training.architecture, training.size)
    network.eval()
    made = forms(network, facts.preprocessing)
    paths = [place(wanted, facts.name, form.kind) for form in made]
    pending = [Outcome(path, wanted.overwrite) for path in paths]
    try:
        say(f"weights:  {facts.name}, {'trained on ' + facts.training_data if facts.trained else 'not trained'}")
        seen = look(wanted.clip, settings)
        for form, outcome in zip(made, pending, strict=True):
            write(form, facts, wanted, outcome, say)
            compare(form, network, facts, seen, wanted, outcome, say)
        for outcome in pending:
            say("wrote " + ", ".join(str(path) for path in outcome.commit()))
    finally:
        for outcome in pending:
            outcome.discard()
    return 0


class Outcome:
    """A file on its way, and the JSON beside it."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.file = Pending(path, overwrite=overwrite)
        self.description = Pending(beside(path), overwrite=overwrite)

    def write(self, data: bytes, described: Mapping[str, Any]) -> None:
        """Write both beside their final names."""
        try:
            self.file.part.write_bytes(data)
            self.description.part.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise failed(self.file.path, error) from error

    def commit(self) -> tuple[Path, Path]:
        """Give both their names."""
        return self.file.commit(), self.description.commit()

    def discard(self) -> None:
        """Leave nothing of what has no name yet."""
        self.file.discard()
        self.description.discard()


def write(form: Form, facts: WeightFacts, wanted: Wanted, outcome: Outcome, say: Say) -> None:
    """Write ``form`` and its JSON, and say what goes in, what comes out and how large it is."""
    described = description(form, facts, wanted.precision)
    say(f"{form.kind + ':':<10}{', '.join(form.inputs)} -> {', '.join(form.outputs)}")
    if wanted.format == "onnx":
        model = onnx_model(form)
        made = {name: to_bytes(convert(model), described) for name, convert in PRECISIONS.items()}
        what = f"ONNX opset {described['opset']}"
    else:
        del described["opset"]
        described |= {"batch": 1} if wanted.format == "executorch" else {}
        file = program(form, described) if wanted.format == "torch" else lowered(form)
        made, what = {wanted.precision: file}, PROGRAMS[wanted.format]
    data = made[wanted.precision]
    shown = ", ".join(f"{name.upper()} {len(file) / 1e6:.1f} MB" for name, file in made.items())
    say(f"{'':<10}{what}, {shown}; written in {wanted.precision}")
    outcome.write(data, {**described, "sha256": hashlib.sha256(data).hexdigest()})


def compare(
    form: Form, network: FaceNetwork, facts: WeightFacts, seen: Seen, wanted: Wanted, outcome: Outcome, say: Say
) -> None:
    """Say how far the written file is from ``network`` on real faces; in fp32 more than 1e-4 is an error."""
    difference, count = largest_difference(form.kind, outcome.file.part, wanted.format, network, facts, seen)
    limit = f"at most {LARGEST:g} expected" if wanted.precision == "fp32" else "no limit"
    say(f"{'':<10}largest difference to the network {difference:.1e} in {count} readings ({limit})")
    if wanted.precision == "fp32" and not difference <= LARGEST:
        raise OutputError(
            f"export {str(outcome.file.path)!r} reads faces differently: expected readings within {LARGEST:g} of the "
            f"network's, got {difference:.1e}. Nothing was kept; update torch and onnxruntime, or report it."
        )


def check(wanted: Wanted) -> None:
    """Raise :class:`ConfigError` for what cannot be exported here."""
    for what, value, known in (("format", wanted.format, SUFFIXES), ("precision", wanted.precision, PRECISIONS)):
        if value not in known:
            raise ConfigError(
                f"export {what} {value!r} is unknown: expected one of {', '.join(known)}, got {value!r}."
                f"{did_you_mean(value, list(known))}"
            )
    if wanted.format != "onnx" and wanted.precision != "fp32":
        raise ConfigError(
            f"export precision {wanted.precision!r} is for ONNX: expected fp32 with --export {wanted.format}, got "
            f"{wanted.precision!r}. Leave out --precision."
        )
    check_packages(wanted.format)


def place(wanted: Wanted, name: str, kind: str) -> Path:
    """Where the form ``kind`` of the weights ``name`` goes; the folder is made."""
    suffix, output = SUFFIXES[wanted.format], wanted.output or Path("export")
    if output.suffix.lower() == suffix:
        return output.with_name(f"{output.stem}_{kind}{suffix}")
    make_folder(output)
    return output / f"{name}_{kind}{suffix}"
