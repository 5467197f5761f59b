"""The flags of the command line: what each is called, and what is said of it in ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from stemo.errors import ConfigError

EXAMPLES = """examples:
  python main.py --demo
  python main.py --video talk.mp4 --output talk_read.mp4 --format json,csv
  python main.py --video clips --output readings --workers 4
  python main.py --video "clips/2026-*.mp4" --output readings --no-video --engine ray
  python main.py --realtime --camera 0 --record me.mp4
  python main.py --train --data ../shared/data
  python main.py --prepare pictures --output prepared --classes bored,happy,neutral
  python main.py --evaluate ferplus.zip --output report
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with a did-you-mean."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"command line: {message}. See: python main.py --help")


def build_parser() -> Parser:
    """All flags. Those of settings have no default here: the settings know theirs."""
    parser = Parser("main.py", description="Reads facial expression in video.", epilog=EXAMPLES, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    modes = parser.add_argument_group("modes").add_mutually_exclusive_group()
    modes.add_argument(
        "--video",
        metavar="IN",
        help="read a video, an image, an image folder or a stream address; or many videos: a folder, a quoted pattern, "
        "or a list (.txt, a path per line)",
    )
    modes.add_argument("--realtime", action="store_true", help="read a camera live, in a window (q quits)")
    modes.add_argument("--demo", action="store_true", help="the whole way on a bundled photograph, into ./demo")
    modes.add_argument("--train", action="store_true", help="train the network; continues where it stopped")
    modes.add_argument("--evaluate", metavar="DATA", help="score the network on labelled faces")
    modes.add_argument("--explain", metavar="IN", help="draw what the network looks at on an image or a video")
    modes.add_argument("--train-detector", metavar="DATA.yaml", help="fine-tune YOLOv8n on faces in YOLO format")
    modes.add_argument("--compare-detectors", metavar="IN", help="what each face detector finds, and how fast")
    modes.add_argument("--benchmark", nargs="*", metavar="CLIP", help="how fast this machine reads, stage by stage")
    modes.add_argument("--card", type=Path, metavar="WEIGHTS", help="write the model card beside weights")
    modes.add_argument(
        "--export",
        metavar="onnx|torch|executorch|int8",
        help="files that read faces without stemo; the weights' 8-bit twin",
    )
    modes.add_argument("--prepare", metavar="DATA", help="labelled faces as an ImageFolder, split by people")
    modes.add_argument("--doctor", action="store_true", help="check this machine, and say how to mend what is wrong")
    _add_output(parser)
    _add_recognition(parser)
    _add_training(parser)
    return parser


def _add_output(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="annotated video; data go beside it as OUT_results.*. Of many videos: a folder",
    )
    group.add_argument("--format", metavar="F,..", help="data formats: json,jsonl,csv,parquet (default json)")
    group.add_argument("--no-video", action="store_true", help="data only")
    group.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    group.add_argument("--resume", action="store_true", help="video: go on where the same command was killed")
    group.add_argument(
        "--record",
        type=Path,
        metavar="OUT.mp4|NAME",
        help="realtime: keep the annotated video; evaluate, benchmark: keep the figures in the weights' JSON "
        "as NAME (valid, highres or ckplus; speed), for --card",
    )
    group.add_argument("--workers", type=int, metavar="N", help="many videos, benchmark: so many at a time (default 1)")
    group.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="many videos: on this machine or a Ray cluster"
    )
    group.add_argument("--precision", default="fp32", metavar="P", help="export: of the weights, fp32 or fp16")
    group.add_argument("--config", type=Path, metavar="YAML", help="settings; see configs/")
    group.add_argument("--peers", nargs="+", type=Path, metavar="VENV", help="benchmark: beside the tools in these")
    group.add_argument("--frames", type=int, metavar="N", help="benchmark: memory and pace over N frames, looped")


def _add_recognition(parser: Parser) -> None:
    group = parser.add_argument_group("recognition")
    group.add_argument("--weights", metavar="FILE", help="weights (.safetensors with .json beside it, or .onnx)")
    group.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps (default auto)")
    group.add_argument("--backend", help="auto, torch, onnx or int8: what runs the network (default auto: the fastest)")
    group.add_argument("--faces", type=int, metavar="N", help="most faces per frame (default 4)")
    group.add_argument("--batch", type=int, metavar="N", help="frames of a file that are read at once (default 4)")
    group.add_argument("--smoothing", type=int, metavar="N", help="moving average over N readings (default 5)")
    group.add_argument("--ema", type=float, metavar="ALPHA", help="exponential average of readings and boxes instead")
    group.add_argument("--start", type=float, metavar="S", help="first second to read")
    group.add_argument("--end", type=float, metavar="S", help="second to stop before")
    group.add_argument("--objects", action=argparse.BooleanOptionalAction, help="scene objects (realtime: on)")
    group.add_argument("--object-weights", metavar="FILE", help="anything that ultralytics loads (default YOLOv8n)")
    group.add_argument("--landmarker", metavar="FILE", help="face_landmarker.task, where not the installed one")
    group.add_argument("--detector", help="what finds faces: mediapipe, yunet or yolo (default mediapipe)")
    group.add_argument(
        "--face-weights",
        metavar="FILE",
        help="of the face detector: YuNet as ONNX, or a YOLO model; train-detector: to start from (default YOLOv8n, "
        "where it is installed)",
    )
    group.add_argument("--camera", type=int, default=0, metavar="N", help="realtime: number of the camera (default 0)")
    group.add_argument("--source", metavar="FILE", help="realtime: a file for the camera; export: faces to compare on")
    group.add_argument("--no-window", action="store_true", help="realtime: without a window")


def _add_training(parser: Parser) -> None:
    group = parser.add_argument_group("training and evaluation")
    group.add_argument("--data", action="append", metavar="PATH", help="a data set, or a folder of them; repeatable")
    group.add_argument("--classes", metavar="A,B,..", help="categories, stemo's or your own (default the seven)")
    group.add_argument("--epochs", type=int, metavar="N", help="epochs of the spatial stage, or of the detector")
    group.add_argument("--architecture", help="stemo, resnet_se or resnet50 (default stemo)")
    group.add_argument("--size", help="of stemo: base, small or tiny (default base)")
    group.add_argument("--optimiser", help="adamw or sgd (default adamw)")
    group.add_argument("--schedule", help="of the learning rate: cosine, plateau, step or onecycle (default cosine)")
    group.add_argument("--name", help="the run's folder below runs/ (default emotion_recognition)")
    group.add_argument("--start-from", metavar="FILE", help="train: weights to go on from, or face_identity")
    group.add_argument("--teachers", action="append", metavar="FILE", help="train: weights to learn from; repeatable")
    group.add_argument("--seed", type=int, metavar="N", help="seed of the run")
    group.add_argument("--emotion", metavar="NAME", help="explain: the category (default the one that is read)")
    group.add_argument(
        "--split", metavar="NAME", help="evaluate: only this split; prepare: shares (default 0.8,0.1,0.1)"
    )
    group.add_argument(
        "--groups", action="append", default=[], metavar="COLUMN", help="evaluate: figures for each group; repeatable"
    )
    group.add_argument(
        "--held-back-only", action="store_true", help="evaluate: only people whom the training kept apart"
    )
    group.add_argument(
        "--end-to-end", action="store_true", help="evaluate: also find, align and read each face as in a user's photo"
    )
    group.add_argument("--run", type=Path, metavar="FOLDER", help="evaluate: a training's folder, for its curves")
