"""Fine-tuning YOLOv8n on faces: ultralytics' training loop, fed and watched by stemo.

ultralytics reads data sets by itself as well, but on its way it runs code from their YAML, opens pickles beside their
labels, rewrites damaged pictures and fetches a typeface. So it is handed the pictures and boxes that
:mod:`stemo.training.face_boxes` has read and checked, and writes below the run's folder only.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemo.errors import StemoError
from stemo.faces.yolo import LOADING_FAULTS, Purpose, Yolo, silence_ultralytics
from stemo.training.boards import event_file
from stemo.training.face_boxes import BoxedPicture, FaceBoxes
from stemo.training.keeping import writing

ARCHITECTURE = "yolov8n.yaml"  # comes with ultralytics
START = Purpose("face weights", "Check --face-weights, or leave it out to start from others")
LARGEST, STRIDE = 640, 32  # pixels
FIGURES = {
    "metrics/mAP50(B)": "detector/mAP50",
    "metrics/mAP50-95(B)": "detector/mAP50-95",
    "metrics/precision(B)": "detector/precision",
    "metrics/recall(B)": "detector/recall",
}

Log = Callable[[str, float, int], None]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How a detector is trained; ``start`` are weights to start from (``None``: fresh ones)."""

    epochs: int
    device: str
    batch: int = 16
    seed: int = 0
    start: Path | None = None


def train_detector(
    data: FaceBoxes, settings: DetectorSettings, folder: Path, say: Callable[[str], None]
) -> tuple[Path, dict[str, float]]:
    """Train in ``folder``; returns the best weights and their figures on the pictures to choose by.

    Losses and figures of every epoch go to TensorBoard and to ``say``. Raises :class:`WeightsError` for weights to
    start from that cannot be loaded, :class:`OutputError` for curves that cannot be written, and :class:`StemoError`
    where training fails.
    """
    if settings.start is not None:
        Yolo(settings.start, START)  # opened once before anything is written
    best: dict[str, float] = {}
    with event_file(folder) as board:

        def watch(trainer: Any) -> None:
            figures = _figures(trainer)
            with writing(folder):
                for name, value in figures.items():
                    board.add_scalar(name, value, trainer.epoch)
            if not best or trainer.fitness >= trainer.best_fitness:
                best.update(figures)
            losses = sum(value for name, value in figures.items() if name.startswith("train/"))
            say(f"epoch {trainer.epoch + 1}  loss {losses:.3f}  mAP50 {figures['detector/mAP50']:.3f}")

        try:
            trainer = _trainer(data, settings, folder, watch)
            trainer.train()
        except (*LOADING_FAULTS, AssertionError) as error:
            reason = textwrap.shorten(str(error) or type(error).__name__, 160)
            raise StemoError(
                f"training of detector {folder.name!r} failed: expected to go on, got {reason}. Check --device, data"
            ) from error
    return Path(trainer.best), best


def picture_size(pictures: Sequence[BoxedPicture]) -> int:
    """The side in pixels at which to train: that of the largest picture, in whole strides, 640 at most."""
    longest = max(max(picture.size) for picture in pictures)
    return min(-(-longest // STRIDE) * STRIDE, LARGEST)


def _trainer(data: FaceBoxes, settings: DetectorSettings, folder: Path, watch: Callable[[Any], None]) -> Any:
    silence_ultralytics()
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.torch_utils import strip_optimizer

    class FaceTrainer(DetectionTrainer):
        """ultralytics' trainer without its ways to disk, network and third-party loggers."""

        def get_dataset(self) -> dict[str, Any]:
            return {"train": "train", "val": "val", "names": dict(enumerate(data.names)), **_counts(data)}

        def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
            pictures = data.train if img_path == "train" else data.valid
            return _dataset(self.args, pictures, self.data, mode, batch or 1)

        def run_callbacks(self, event: str) -> None:
            # those of loggers that happen to be installed would write and call out
            if event == "on_fit_epoch_end":
                watch(self)

        def final_eval(self) -> None:
            # the best epoch's figures are known; a second evaluation would read the data set in ultralytics' own way
            for path in (self.last, self.best):
                if path.exists():
                    strip_optimizer(path)

    return FaceTrainer(overrides=_overrides(data, settings, folder))


def _overrides(data: FaceBoxes, settings: DetectorSettings, folder: Path) -> dict[str, Any]:
    return {
        "model": str(settings.start or ARCHITECTURE),
        "data": "",
        "task": "detect",
        "epochs": settings.epochs,
        "batch": min(settings.batch, len(data.train)),
        "imgsz": picture_size(data.train),
        "device": settings.device,
        "seed": settings.seed,
        "project": str(folder.parent.resolve()),
        "name": folder.name,
        "exist_ok": True,
        "plots": False,
        "verbose": False,
        "amp": False,  # its check would fetch a model
    }


def _dataset(args: Any, pictures: Sequence[BoxedPicture], data: Mapping[str, Any], mode: str, batch: int) -> Any:
    from ultralytics.data.dataset import YOLODataset

    class Faces(YOLODataset):
        """ultralytics' data set and its augmentation, over pictures and boxes that are known already."""

        def get_img_files(self, img_path: Any) -> list[str]:  # noqa: ARG002
            return [str(picture.path) for picture in pictures]

        def get_labels(self) -> list[dict[str, Any]]:
            return [_label(picture) for picture in pictures]

    training = mode == "train"
    return Faces(
        img_path=mode,
        imgsz=args.imgsz,
        batch_size=batch,
        augment=training,
        hyp=args,
        rect=not training,
        stride=STRIDE,
        pad=0.0 if training else 0.5,
        data=dict(data),
        task="detect",
    )


def _label(picture: BoxedPicture) -> dict[str, Any]:
    """A picture's boxes as ultralytics keeps them."""
    return {
        "im_file": str(picture.path),
        "shape": picture.size,
        "cls": picture.boxes[:, :1].copy(),
        "bboxes": picture.boxes[:, 1:].copy(),
        "segments": [],
        "keypoints": None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _counts(data: FaceBoxes) -> dict[str, int]:
    return {"nc": len(data.names), "channels": 3}


def _figures(trainer: Any) -> dict[str, float]:
    """Losses (``train/box_loss``, ``val/...``), mAP, precision, recall and learning rate of the epoch just done."""
    losses: dict[str, Any] = {**trainer.label_loss_items(trainer.tloss, prefix="train"), **trainer.metrics}
    named = {FIGURES.get(name, name): float(value) for name, value in losses.items()}
    return {**named, "detector/lr": float(trainer.optimizer.param_groups[0]["lr"])}
