"""The model card: everything from the JSON, nothing invented where it is silent."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stemo.cli import main
from stemo.errors import WeightsError
from stemo.network.checkpoint import SHIPPED
from stemo.records import EMOTIONS
from stemo.training.end_to_end import compare
from stemo.training.labels import CIRCUMPLEX, one_hot, weak_affect
from stemo.training.metrics import UNREAD
from stemo.training.report.card import card, read_facts, write_card

SHIPPED_JSON = sorted(SHIPPED.parent.glob("*.json"))
LABELS = ["calm", "bored"]
HIGHRES = {
    "rule": "majority",
    "n": 20,
    "accuracy": 0.85,
    "macro_recall": 0.85,
    "per_class_recall": {"calm": 0.8, "bored": 0.9},
    "support": {"calm": 10, "bored": 10},
    "confusion": [[8, 2], [1, 9]],
    "calibration_error": 0.0213,
    "log_loss": 0.4,
}


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def made(**metrics: Any) -> dict[str, Any]:
    return {"name": "w", "labels": LABELS, "trained": True, "training_data": "ferplus, mine", "metrics": metrics}


def test_the_card_of_the_shipped_weights(tmp_path: Path) -> None:
    shutil.copy(SHIPPED.with_suffix(".json"), tmp_path / "stemo_base.json")
    path = write_card(tmp_path / "stemo_base.json")
    text = path.read_text(encoding="utf-8")
    facts = read_facts(SHIPPED.with_suffix(".json"))
    valid = facts["metrics"]["valid"]
    assert path == tmp_path / "stemo_base.md"
    assert facts["sha256"] in section(text, "How to cite")
    assert f"n: {valid['n']}" in section(text, "Figures on the validation faces")
    assert f"{valid['accuracy'] * 100:.1f} %" in text
    for doi in ("10.1177/1529100619832930", "10.1145/2993148.2993165"):
        assert doi in text
    assert "Russell & Mehrabian 1977" in section(text, "Valence and arousal")
    assert "/work" not in text  # paths of the machine that trained
    check_tables(text)


def test_figures_have_their_intervals() -> None:
    text = card(made(highres=HIGHRES), "w.safetensors")
    shown = section(text, "Figures on high-resolution faces")
    assert "accuracy: 85.0 % (64.0 to 94.8)" in shown
    assert "| calm | 10 | 80.0 % (49.0 to 94.3) | 88.9 % (56.5 to 98.0) |" in shown
    assert "highres: expected calibration error 0.021, log loss 0.400" in section(text, "Calibration")
    check_tables(text)


def test_what_was_not_measured_is_said() -> None:
    text = card(made(), "w.safetensors")
    for title in ("Figures on the validation faces", "Figures on high-resolution faces", "Figures on CK+"):
        assert section(text, title).strip().endswith("Not measured.")
    assert "Not measured." in section(text, "Speed")
    assert "Not measured." in section(text, "Calibration")


def test_other_figures_are_shown_as_they_are() -> None:
    metrics = {
        "ckplus": {"n": 40, "apex_accuracy": 0.975},
        "speed": {"cpu": {"frames_per_second": 41.26}, "note": "two cores"},
    }
    text = card(made(**metrics), "w.safetensors")
    assert "- apex accuracy: 0.975" in section(text, "Figures on CK+")
    assert "- cpu, frames per second: 41.26\n- note: two cores" in section(text, "Speed")


def test_crops_stand_beside_end_to_end() -> None:
    read = compare([0] * 10 + [1] * 10, [0] * 8 + [1] + [UNREAD] + [1] * 10, [0] * 8 + [1] * 12, ("calm", "bored"))
    text = card(made(highres=HIGHRES | {"end_to_end": {"detector": "yunet", **read}}), "w.safetensors")
    shown = section(text, "Figures on high-resolution faces")
    assert "Face found: 95.0 % (76.4 to 99.1) of 20, by the detector yunet." in shown
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in shown.splitlines() if line.count("|") == 8}
    assert [cell.split(" (")[0] for cell in rows["| accuracy"]] == ["20", "19", "85.0 %", "90.0 %", "94.7 %", "94.7 %"]
    assert [cell.split(" (")[0] for cell in rows["| calm"]] == ["10", "9", "80.0 %", "80.0 %", "88.9 %", "88.9 %"]
    assert list(rows)[2:] == ["| accuracy", "| macro recall", "| calm", "| bored"]  # after the head
    check_tables(text)


def test_motion_is_said_in_words_with_its_n() -> None:
    motion = {"n": 47, "apex_accuracy": 43 / 47, "onset_neutral": 1.0, "arousal_up": 46 / 47}
    text = card(made(ckplus=HIGHRES | {"motion": motion}), "w.safetensors")
    shown = section(text, "Figures on CK+")
    assert "Read as a stream, from the onset to the apex of 47 sequences:" in shown
    assert "- the apex is read right: 43 of 47, 91.5 % (80.1 to 96.6)" in shown
    assert "- the onset is read as Neutral: 47 of 47, 100.0 % (92.4 to 100.0)" in shown
    assert "- arousal rises: 46 of 47, 97.9 %" in shown


def test_real_ratings_and_notes_are_shown() -> None:
    affect = {"valence": {"n": 3, "ccc": 0.5, "rmse": 0.25, "pearson": None, "sign_agreement": 1.0}}
    text = card(made(valid={"rule": "r", "n": 0, "affect": affect, "note": "they flatter"}), "w.safetensors")
    shown = section(text, "Figures on the validation faces")
    assert "| valence | 3 | 0.500 | 0.250 | not measured | 1.000 |" in shown
    assert "- note: they flatter" in shown
    check_tables(text)


def test_the_twin_in_8_bits_says_what_it_loses() -> None:
    twin = {"rule": "majority", "n": 3144, "accuracy": 0.89, "macro_recall": 0.78, "agreement": 0.9911}
    twin |= {"accuracy_lost": 0.0021, "macro_recall_lost": -0.0009, "mean_difference": 0.003, "sha256": {"frame": "a"}}
    shown = section(card(made(int8=twin), "w.safetensors"), "In 8 bits").strip().splitlines()[2:]
    assert shown == [
        "- rule: majority",
        "- n: 3144",
        "- accuracy: 89.0 % (87.9 to 90.0), 0.21 points lost against the exact weights",
        "- macro recall: 78.0 %, 0.09 points gained against the exact weights",
        "- both read the same class of 99.1 % of the faces",
    ]
    assert "In 8 bits" not in card(made(), "w.safetensors")


def test_what_only_these_weights_have_to_say_is_said() -> None:
    notes = ["the best of three seeds", "chosen by these people too"]
    text = card(made(notes=notes), "w.safetensors")
    assert section(text, "How these weights came about").split("\n")[1:3] == [f"- {note}" for note in notes]
    assert "How these weights came about" not in card(made(), "w.safetensors")


def test_the_arousal_of_a_resting_face_is_said_to_be_borrowed() -> None:
    lowest = min(EMOTIONS, key=lambda name: CIRCUMPLEX[name][1])
    valence, arousal = weak_affect(one_hot(EMOTIONS.index(lowest)))
    shown = section(card(made(), "w.safetensors"), "Valence and arousal")
    assert (lowest, valence) == ("Neutral", 0.0)
    assert f'its arousal is borrowed from "relaxed", {arousal:.2f}, the lowest of the seven' in shown


@pytest.mark.parametrize("description", SHIPPED_JSON, ids=lambda path: path.stem)
def test_shipped_cards_say_what_their_json_says(description: Path) -> None:
    shipped = description.with_suffix(".md").read_text(encoding="utf-8")
    made_anew = card(read_facts(description), description.with_suffix(".safetensors").name)
    assert shipped == made_anew, f"make it anew: python main.py --card {description.with_suffix('.safetensors')}"


def test_a_class_without_a_face_or_a_reading() -> None:
    measured = {"n": 3, "accuracy": 1.0, "macro_recall": 1.0, "per_class_recall": {"calm": 1.0, "bored": None}}
    measured |= {"support": {"calm": 3, "bored": 0}, "confusion": [[3, 0], [0, 0]]}
    shown = section(card(made(valid=measured), "w.safetensors"), "Figures on the validation faces")
    assert "| bored | 0 | no face | never read |" in shown


def test_data_sets_that_stemo_knows_and_does_not() -> None:
    shown = section(card(made(), "w.safetensors"), "Training data and licences")
    assert "- **ferplus**: FER2013" in shown
    assert "- **mine**: stemo knows nothing more" in shown
    affect = section(card(made(), "w.safetensors"), "Valence and arousal")
    assert "Whether faces of mine have real ratings, stemo does not know." in affect


def test_untrained_weights_say_so() -> None:
    assert "not trained" in card({"labels": LABELS}, "w.safetensors")
    assert "not trained" not in card(made(), "w.safetensors")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_no_description_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "w.json").write_text(content)
    with pytest.raises(WeightsError, match="cannot be used: expected the JSON"):
        write_card(tmp_path / "w.json")
    assert not (tmp_path / "w.md").exists()


def test_the_command_line_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.json").write_text(json.dumps(made(valid=HIGHRES)))
    for ending in (".safetensors", ".json"):
        assert main(["--card", str(tmp_path / f"w{ending}")]) == 0
        assert capsys.readouterr().out == f"wrote {tmp_path / 'w.md'}\n"
    assert main(["--card", str(tmp_path / "other.safetensors")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def check_tables(text: str) -> None:
    """Every row of a table has as many cells as the row above it."""
    lines = text.splitlines()
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|"), line
