"""What a training shows in TensorBoard: every epoch of every stage, some pictures, and the end beside the settings.

The stages speak to a :class:`Board` and know nothing of TensorBoard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter

from stemo.records import Image
from stemo.training.augment import Strength
from stemo.training.board_pictures import clip_grid, confusion_figure, sample_grid
from stemo.training.keeping import writing
from stemo.training.metrics import CategoryReadings
from stemo.training.report.calibration import log_loss
from stemo.training.report.curves import FINAL
from stemo.training.report.statistics import class_figures

BINS = 128
NEARLY_ALL = 0.9  # of the weights
MOST_PARTS = 16  # that one part is split into
SPOKEN = ("/loss", "/valid_accuracy")  # the figures one waits for
END = ".end"  # of the name of the file that holds the settings and what came of them
STAGES = ("spatial", "clip", "joint", FINAL)
# the tab "custom scalars": training beside validation, and the curves of all classes in one chart
CHARTS = {
    stage: {
        "loss": ["Multiline", [f"{stage}/loss", f"{stage}/valid_loss"]],
        "accuracy": ["Multiline", [f"{stage}/train_accuracy", f"{stage}/valid_accuracy"]],
        **{figure: ["Multiline", [f"{stage}/{figure}/.*"]] for figure in ("recall", "precision", "f1")},
    }
    for stage in STAGES[:-1]
}


class Board(Protocol):
    """Where a stage shows how it goes; ``step`` is the epoch."""

    def scalar(self, name: str, value: float, step: int) -> None: ...
    def histogram(self, name: str, values: Tensor, step: int) -> None: ...
    def readings(self, stage: str, readings: CategoryReadings, step: int) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """One epoch's mean ``loss``, gradient norms before clipping (s), learning ``rate`` at its end, faces per second.

    ``accuracy`` in [0, 1] is that on the training faces as they were trained on, warped, mixed and against votes, so
    it may lie below that on valid; ``None`` where none has a category.
    """

    loss: float
    accuracy: float | None
    gradients: Tensor
    rate: float
    speed: float


def show_epoch(board: Board, stage: str, epoch: Epoch, network: nn.Module, step: int) -> None:
    """Show the epoch and the weights that ``network`` has after it."""
    board.scalar(f"{stage}/loss", epoch.loss, step)
    if epoch.accuracy is not None:
        board.scalar(f"{stage}/train_accuracy", epoch.accuracy, step)
    board.scalar(f"{stage}/lr", epoch.rate, step)
    board.scalar(f"{stage}/faces_per_second", epoch.speed, step)
    board.scalar(f"{stage}/gradient_norm", float(epoch.gradients.mean()), step)
    board.histogram(f"{stage}/gradient_norms", epoch.gradients, step)
    for name, part in main_parts(network).items():
        board.histogram(f"{stage}/weights/{name}", torch.cat([w.detach().flatten() for w in _weights(part)]), step)


def main_parts(network: nn.Module) -> dict[str, nn.Module]:
    """The parts that hold weights, by name; one that is nearly the whole network is replaced by its own few parts."""
    parts: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        inner = main_parts(child) if _size(child) > NEARLY_ALL * _size(network) else {}
        if 1 <= len(inner) <= MOST_PARTS:
            parts |= {f"{name}.{deeper}": part for deeper, part in inner.items()}
        elif _size(child):
            parts[name] = child
    return parts


class TensorBoard:
    """A :class:`Board` that writes TensorBoard's files to ``folder``; says the figures that one waits for.

    Raises :class:`OutputError` where they cannot be written; at the end of a ``with`` only if nothing else was raised.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        with ExitStack() as stack, writing(folder):
            self._writer = stack.enter_context(event_file(folder))
            self._writer.add_custom_scalars(CHARTS)
            self._open = stack.pop_all()

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def scalar(self, name: str, value: float, step: int) -> None:
        """One figure, in TensorBoard at once."""
        with writing(self._folder):
            self._writer.add_scalar(name, value, step)
            self._writer.flush()
        if name.endswith(SPOKEN):
            self._say(f"epoch {step}  {name} {value:.4f}")

    def histogram(self, name: str, values: Tensor, step: int) -> None:
        """How ``values`` of any shape are spread, in equal bins; those that are not finite are left out."""
        known = values[values.isfinite()].float().cpu().numpy()
        if not known.size:
            return
        counts, edges = np.histogram(known, BINS)
        total, squares = known.sum(dtype=np.float64), np.square(known).sum(dtype=np.float64)
        facts = (float(known.min()), float(known.max()), known.size, float(total), float(squares))
        with writing(self._folder):
            self._writer.add_histogram_raw(name, *facts, edges[1:].tolist(), counts.tolist(), step)

    def readings(self, stage: str, readings: CategoryReadings, step: int) -> None:
        """Accuracy, macro recall and loss; recall, precision, F1 and precision-recall curve per class; the confusion.

        The loss is the cross-entropy with the labels, before the calibration, which comes after the last stage: with
        the temperature that the network began with.
        """
        result = readings.score
        self.scalar(f"{stage}/valid_accuracy", result.accuracy, step)
        self.scalar(f"{stage}/valid_macro_recall", result.macro_recall, step)
        self.scalar(f"{stage}/valid_loss", log_loss(readings.probabilities, readings.truth), step)
        with writing(self._folder):
            _show_classes(self._writer, stage, readings, step)
            self._writer.flush()

    def samples(self, images: Sequence[Image]) -> None:
        """A grid of training pictures as the network sees them."""
        self._image("samples", sample_grid(images))

    def clips(self, images: Sequence[Image], plan: np.ndarray, strength: Strength) -> None:
        """A grid of training clips, one per row: ``plan`` (n t) says which image each frame shows."""
        self._image("clips", clip_grid(images, plan, strength))

    def end(self, settings: Mapping[str, Any], readings: CategoryReadings, calibration_error: float) -> None:
        """The settings beside the figures of the finished network, instead of those of an earlier end of the run."""
        result = readings.score
        figures = {
            f"{FINAL}/valid_accuracy": result.accuracy,
            f"{FINAL}/valid_macro_recall": result.macro_recall,
            f"{FINAL}/calibration_error": calibration_error,
        }
        # TensorBoard believes the first settings it finds
        with writing(self._folder):
            for earlier in self._folder.glob(f"*{END}"):
                earlier.unlink()
        with writing(self._folder), event_file(self._folder, END) as writer:
            for summary in hparams(_plain(settings), figures):
                writer._get_file_writer().add_summary(summary)
            for name, value in figures.items():
                writer.add_scalar(name, value, 0)
            _show_classes(writer, FINAL, readings, 0)

    def close(self) -> None:
        """Write what is left."""
        self._open.close()

    def _image(self, name: str, image: Tensor) -> None:
        with writing(self._folder):
            self._writer.add_image(name, image, 0)


@contextmanager
def event_file(folder: Path, ending: str = "") -> Iterator[SummaryWriter]:
    """The writer of one of TensorBoard's files in ``folder``; ``ending`` is that of its name.

    Raises :class:`OutputError` where it cannot be opened or closed, the latter only if nothing else was raised. What
    is done with it needs a :func:`writing` of its own.
    """
    with _silent_writers():
        with writing(folder):
            writer = SummaryWriter(str(folder), filename_suffix=ending)
        try:
            yield writer
        except BaseException:
            with suppress(OSError):
                _close(writer)
            raise
        with writing(folder):
            _close(writer)


def _close(writer: SummaryWriter) -> None:
    file = writer.file_writer
    try:
        writer.close()
    finally:
        if file is not None:
            file.close()  # a fault leaves it open, and its thread on the way to the hook below


@contextmanager
def _silent_writers() -> Iterator[None]:
    """Print no traceback where TensorBoard's own thread cannot write: the next call of the writer raises the fault."""
    usual = threading.excepthook

    def hook(fault: threading.ExceptHookArgs) -> None:
        if not (isinstance(fault.exc_value, OSError) and type(fault.thread).__module__.startswith("tensorboard.")):
            usual(fault)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual


def _show_classes(writer: SummaryWriter, stage: str, readings: CategoryReadings, step: int) -> None:
    result = readings.score
    # whether a training has diverged is not the board's to say
    probabilities = np.nan_to_num(readings.probabilities)
    for place, figures in enumerate(class_figures(result.confusion, result.labels)):
        for name in ("recall", "precision", "f1"):
            value = getattr(figures, name)
            if value is not None:
                writer.add_scalar(f"{stage}/{name}/{figures.label}", value, step)
        if figures.support:
            # TensorBoard's slider knows only the steps of the tag that sorts first: that of the longest stage must
            tag = f"{STAGES.index(stage) + 1}_{stage}/precision_recall/{figures.label}"
            writer.add_pr_curve(tag, readings.truth == place, probabilities[:, place], step)
    writer.add_figure(f"{stage}/confusion", confusion_figure(result), step)


def _weights(part: nn.Module) -> list[Tensor]:
    """Without norms and biases, whose values are of another size."""
    return [parameter for parameter in part.parameters() if parameter.ndim > 1]


def _size(part: nn.Module) -> int:
    return sum(weights.numel() for weights in _weights(part))


def _plain(settings: Mapping[str, Any]) -> dict[str, str | float]:
    """Settings as TensorBoard can tabulate them: lists as text, and what is not set left out."""
    known = {name: value for name, value in settings.items() if value not in (None, ())}
    return {name: value if type(value) in (int, float) else _text(value) for name, value in known.items()}


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
