"""Small data sets of drawn faces in every layout that stemo reads: each function fills ``root`` and returns it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stemo.records import EMOTIONS, Image
from stemo.training.labels import FERPLUS_COLUMNS
from stemo.training.made import draw


def face(emotion: str, seed: int) -> Image:
    """A drawn face (48 48 3) in an uneven light of its own, so that no two look like copies of one another."""
    rng = np.random.default_rng(seed)
    light = cv2.resize(rng.uniform(0.3, 1.4, (6, 6)), (48, 48), interpolation=cv2.INTER_CUBIC)
    return np.clip(draw(emotion, rng) * light[..., None], 0, 255).astype(np.uint8)


def picture(path: Path, emotion: str = "Happy", seed: int = 0) -> Path:
    """:func:`face` as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), face(emotion, seed))
    return path


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def lines(path: Path, text: Iterable[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in text))
    return path


def zipped(root: Path) -> Path:
    return Path(shutil.make_archive(str(root), "zip", root))


def votes(**counts: int) -> dict[str, int]:
    return {column: counts.get(column, 0) for column in FERPLUS_COLUMNS}


def ferplus(root: Path) -> Path:
    """Happy, Sad and contempt to train on, Angry to choose by."""
    rows = []
    for index, emotion in enumerate(("happiness", "sadness", "contempt", "anger")):
        name = f"{'train' if index < 3 else 'valid'}/fer{index:07d}.png"
        picture(root / name, seed=index)
        usage = "Training" if index < 3 else "PublicTest"
        rows.append({"image": name, "usage": usage, "dup_group": index, **votes(**{emotion: 9, "neutral": 1})})
    table(root / "labels.csv", rows)
    return root


def repository(root: Path) -> Path:
    """Happy to train on, Sad to choose by, contempt to test."""
    for folder, emotion in (("FER2013Train", "happiness"), ("FER2013Valid", "sadness"), ("FER2013Test", "contempt")):
        picture(root / "data" / folder / "fer0000001.png")
        counts = ",".join(str(count) for count in votes(**{emotion: 10}).values())
        lines(root / "data" / folder / "label.csv", [f'fer0000001.png,"(4, 4, 44, 44)",{counts}'])
    return root


def fer2013(root: Path, *, voted: bool = False) -> Path:
    """Happy to train on, Neutral to choose by; Surprise and Happy by the votes."""
    root.mkdir(parents=True)
    pixels = " ".join(["7"] * 48 * 48)
    lines(root / "fer2013.csv", ["emotion,pixels,Usage", f"3,{pixels},Training", f"6,{pixels},PublicTest"])
    if voted:
        header = "Usage,Image name," + ",".join(FERPLUS_COLUMNS)
        rows = ["Training,fer0.png,0,0,10,0,0,0,0,0,0,0", "PublicTest,fer1.png,0,10,0,0,0,0,0,0,0,0"]
        lines(root / "fer2013new.csv", [header, *rows])
    return root


def image_folder(root: Path, categories: Sequence[str] = EMOTIONS, count: int = 2, splits: Sequence[str] = ()) -> Path:
    """``count`` pictures of each category, in each split where some are given; every picture of another person."""
    seed = 0
    for split in splits or ("",):
        for place, category in enumerate(categories):
            for number in range(count):
                seed += 1
                name = f"{split or 'all'}-{category}-{number:02d}_1.png"
                picture(root / split / category / name, EMOTIONS[place % len(EMOTIONS)], seed)
    return root


def sequences(root: Path) -> Path:
    """Onset and three frames to the apex of Happy, contempt and Surprise, each of another subject."""
    rows = []
    for number, emotion in enumerate(("happy", "contempt", "surprise"), 1):
        frames = [f"S{number}/{place}.png" for place in range(4)]
        for place, frame in enumerate(frames):
            picture(root / frame, seed=10 * number + place)
        rows.append(
            {"sequence": f"S{number}_1", "subject": f"S{number}", "emotion": emotion, "frames": " ".join(frames)}
        )
    table(root / "labels.csv", rows)
    return root


def ckplus(root: Path) -> Path:
    """Takes of Happy (11 frames), nothing, contempt and Surprise (4 and 3 frames), of two people."""
    takes = (("S005", "001", 11, 5), ("S005", "002", 3, None), ("S010", "001", 4, 2), ("S010", "002", 3, 7))
    for place, (person, take, frames, number) in enumerate(takes):
        for frame in range(1, frames + 1):
            name = f"{person}_{take}_{frame:08d}.png"
            picture(root / "cohn-kanade-images" / person / take / name, seed=20 * place + frame)
        folder = root / "Emotion" / person / take
        folder.mkdir(parents=True)
        if number is not None:
            lines(folder / f"{person}_{take}_{frames:08d}_emotion.txt", [f"   {number:.7e}"])
    return root


def affectnet_tables(root: Path, *, header: bool = True) -> Path:
    """Happy and Contempt to train on, besides an uncertain face and one without expression; Angry to choose by."""
    columns = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    rows = {
        "training.csv": ["1,a.jpg,1,0.8,0.4", "1,b.jpg,7,-0.5,0.5", "2,c.jpg,9,-2,-2", "2,d.jpg,8,0.1,-0.6"],
        "validation.csv": ["3,e.jpg,6,-0.6,0.9"],
    }
    for name, cells in rows.items():
        written = []
        for line in cells:
            folder, file, *labels = line.split(",")
            picture(root / "Manually_Annotated_Images" / folder / file)
            written.append(",".join([f"{folder}/{file}", "4", "6", "40", "36", "1;2;3;4", *labels]))
        lines(root / "lists" / name, [columns, *written] if header else written)
    return root


def affectnet_arrays(root: Path) -> Path:
    """Fear to train on and Neutral to choose by, the numbers stored as texts and as floats."""
    for split, number, values in (("train_set", "17", ("4", "-0.5", "0.25")), ("val_set", "3", (0, 0.1, -0.2))):
        picture(root / split / "images" / f"{number}.jpg")
        folder = root / split / "annotations"
        folder.mkdir(parents=True)
        for kind, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(folder / f"{number}_{kind}.npy", np.array(value), allow_pickle=False)
    return root


def afew_va(root: Path) -> Path:
    """Two clips of two rated frames each, of one actor and of nobody known."""
    face = [[10.0, 12.0], [38.0, 12.0], [24.0, 40.0]]
    for clip, actor in (("001", "Jane Doe"), ("002", None)):
        frames = {}
        for number in range(2):
            picture(root / clip / f"{number:05d}.png", seed=number)
            frames[f"{number:05d}"] = {"landmarks": face, "valence": 5.0 - 10 * number, "arousal": -10.0 + 5 * number}
        (root / clip / f"{clip}.json").write_text(json.dumps({"actor": actor, "frames": frames}))
    return root


def affwild2(root: Path, frames: int = 12) -> Path:
    """Video a rated and named to train on, b_left named only and to choose by, c rated but to be validated on."""
    for video in ("a", "b_left", "c"):
        for number in range(1, frames + 1):
            picture(root / "cropped_aligned" / video / f"{number:05d}.jpg", seed=number)
    rated, named = root / "annotations/VA_Estimation_Challenge", root / "annotations/EXPR_Classification_Challenge"
    ratings = ["valence,arousal", "0.5,-1.0", *["-5,-5"] * 4, *["-0.25,0.5"] * (frames - 5)]
    names = ["Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other", *["4"] * 5, *["-1"] * 5, *["7", "6"]]
    lines(rated / "Train_Set" / "a.txt", ratings)
    lines(named / "Train_Set" / "a.txt", names)
    lines(named / "Validation_Set" / "b_left.txt", names)
    lines(rated / "Train_Set" / "c.txt", ratings)
    lines(named / "Validation_Set" / "c.txt", names)
    return root


def dfew(root: Path) -> Path:
    """Two clips to train on (Happy, Fear), one to test (Sad), in two folds; ten frames each."""
    for clip in (1, 2, 10):
        for frame in range(1, 11):
            picture(root / "Clip/clip_224x224" / f"{clip:05d}" / f"{frame}.jpg", seed=frame)
    for fold, train, test in ((1, ["1,1", "2,7"], ["10,2"]), (2, ["10,2", "2,7"], ["1,1"])):
        lines(root / "EmoLabel_DataSplit/train(single-labeled)" / f"set_{fold}.csv", ["video_name,label", *train])
        lines(root / "EmoLabel_DataSplit/test(single-labeled)" / f"set_{fold}.csv", ["video_name,label", *test])
    return root


def ferv39k(root: Path) -> Path:
    """Two clips of the same number in two scenes, to train on (Angry) and to test (Neutral); and a second setup."""
    for clip in ("Action/Angry/0010", "Crisis/Neutral/0010"):
        for frame in range(3):
            picture(root / "2_ClipsforFaceCrop" / clip / f"0010_{frame}.jpg", seed=frame)
    for setup, train in (("All_scenes", "train_All.csv"), ("22_scenes", "train_Action.csv")):
        lines(root / "4_setups" / setup / train, ["Action/Angry/0010 Angry"])
    lines(root / "4_setups/All_scenes/test_All.csv", ["Crisis/Neutral/0010 Neutral"])
    return root
