"""A run goes on only as the same training: other data, seeds or settings are refused before anything is written."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_data
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from stemo.cli import main
from stemo.training.state import epochs_done, read_facts

SETTINGS: dict[str, Any] = {
    **{"data": ["made"], "name": "r", "size": "tiny", "epochs": 1, "clip_epochs": 1, "joint_epochs": 0},
    **{"batch": 28, "small_size": 32, "full_size": 32, "views": 1, "landmarks": False},
}
Train = Callable[..., int]
ANEW = "{}: begins anew, as the stage before it has changed\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a training of drawn faces has come to its end."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert trained() == 0
    return folder


@pytest.fixture
def train(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains once more in a copy of :func:`finished`, with other settings."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return trained


def trained(**changes: Any) -> int:
    Path("c.yaml").write_text(yaml.safe_dump({"training": SETTINGS | changes}), encoding="utf-8")
    return main(["--train", "--config", "c.yaml"])


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path("runs/r").glob("*.safetensors")) if path.is_file()}


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Let ``change`` alter the tensors and the facts of the checkpoint ``path``."""
    tensors, facts = load_file(path), read_facts(path)
    change(tensors, facts)
    save_file(tensors, path, {"facts": json.dumps(facts)})


def better(part: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Other best weights in ``part`` of a network, as more epochs would find them."""

    def change(tensors: dict[str, Any], _: dict[str, Any]) -> None:
        chosen = [name for name in tensors if name.startswith(f"module/best/{part}") and name.endswith("weight")]
        tensors[chosen[0]] *= 1.25

    return change


def refused(train: Train, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """The one line in which a training with ``changes`` is refused, nothing having been written."""
    before = contents()
    assert len(before) == 3
    capsys.readouterr()
    assert train(**changes) == 2
    assert contents() == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: checkpoint 'runs/r/spatial.safetensors' is of another training: expected ")
    assert error.endswith(" Choose another --name, or remove the folder 'runs/r' to start over.\n")
    return error


def test_other_data_are_not_taken_for_trained_on(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    made_data.image_folder(tmp_path / "mine", count=2, splits=("train", "val"))
    error = refused(train, capsys, data=["mine"])
    assert "expected data 'made', faces '84 stills, 0 sequences, 28 to choose by, sha256 " in error
    assert ", got data 'mine', faces '14 stills, 0 sequences, 14 to choose by, sha256 " in error
    assert json.loads(Path("runs/r/stemo_tiny.json").read_text())["training_data"] == "made"


def test_other_faces_under_the_same_name_are_seen(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_data.image_folder(tmp_path / "mine", count=1, splits=("train", "val"))
    shutil.rmtree("runs")
    assert train(data=["mine"]) == 0
    first = next((data / "train" / "Happy").iterdir())
    first.rename(first.with_name("another_1.png"))
    error = refused(train, capsys, data=["mine"])
    assert "expected faces '7 stills, 0 sequences, 7 to choose by, sha256 " in error
    assert "data" not in error


@pytest.mark.parametrize(
    ("changes", "was", "now"),
    [
        ({"seed": 5}, "seed 0", "seed 5"),
        ({"lr": 0.5}, "lr 0.001", "lr 0.5"),
        ({"batch": 14, "mixup": 0.0}, "batch 28, mixup 0.2", "batch 14, mixup 0.0"),
        ({"frozen": 1}, "frozen 0", "frozen 1"),
    ],
)
def test_another_setting_is_named(
    train: Train, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], was: str, now: str
) -> None:
    assert f"expected {was}, got {now}." in refused(train, capsys, **changes)


def test_other_weights_to_start_and_to_learn_from_are_named(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (".safetensors", ".json"):
        shutil.copyfile(f"runs/r/stemo_tiny{ending}", f"other{ending}")
    digest = json.loads(Path("other.json").read_text())["sha256"][:12]
    error = refused(train, capsys, start_from="other.safetensors")
    assert f"expected start_from None, got start_from 'sha256 {digest}'." in error
    error = refused(train, capsys, teachers=["other.safetensors"])
    assert f"expected teachers [], got teachers ['sha256 {digest}']." in error


def test_weights_to_start_from_may_be_moved_but_not_change(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (".safetensors", ".json"):
        shutil.copyfile(f"runs/r/stemo_tiny{ending}", f"one{ending}")
        shutil.copyfile(f"runs/r/stemo_tiny{ending}", f"two{ending}")
    shutil.rmtree("runs")
    assert train(start_from="one.safetensors") == 0
    assert train(start_from="two.safetensors") == 0
    for ending in (".safetensors", ".json"):
        shutil.copyfile(f"runs/r/stemo_tiny{ending}", f"two{ending}")
    assert "got start_from 'sha256 " in refused(train, capsys, start_from="two.safetensors")


def test_more_epochs_of_the_same_training_go_on(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/r/clips.safetensors").unlink()
    assert train(epochs=2, patience=3, clip_epochs=2, data=["made"], classes=[]) == 0
    assert epochs_done(Path("runs/r/spatial.safetensors")) == 2
    assert epochs_done(Path("runs/r/clips.safetensors")) == 2
    assert "begins anew" not in capsys.readouterr().out


def test_what_only_later_stages_use_leaves_the_first_one_valid(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(clip_teacher_share=0.6) == 2
    error = capsys.readouterr().err
    assert "checkpoint 'runs/r/clips.safetensors' is of another training: " in error
    assert "expected clip_teacher_share 0.3, got clip_teacher_share 0.6." in error
    Path("runs/r/clips.safetensors").unlink()
    before = Path("runs/r/spatial.safetensors").read_bytes()
    assert train(clip_teacher_share=0.6) == 0
    assert Path("runs/r/spatial.safetensors").read_bytes() == before


def test_a_trained_network_is_adjusted_without_training_again(train: Train) -> None:
    before, stages = load_file("runs/r/stemo_tiny.safetensors"), contents()
    assert train(logit_adjustment=0.5) == 0
    after = load_file("runs/r/stemo_tiny.safetensors")
    # the drawn faces have seven categories, all as frequent
    moved = after["heads.category.4.bias"] - before["heads.category.4.bias"]
    torch.testing.assert_close(moved, torch.full((7,), 0.5 * math.log(7), dtype=moved.dtype), atol=2e-3, rtol=0)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"heads.category.4.bias"}
    assert {name: data for name, data in contents().items() if "stemo" not in name} == {
        name: data for name, data in stages.items() if "stemo" not in name
    }


def test_clips_begin_anew_where_the_spatial_stage_has_changed(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(Path("runs/r/spatial.safetensors"), better("encoder."))
    for times in (1, 0):
        assert train() == 0
        assert capsys.readouterr().out.count(ANEW.format("clips")) == times
        wanted = load_file("runs/r/spatial.safetensors")
        got = load_file("runs/r/stemo_tiny.safetensors")
        for name in [name for name in wanted if name.startswith("module/best/encoder.")]:
            value = got[name.replace("module/best/encoder.", "spatial.")]
            assert torch.equal(value, wanted[name].to(value.dtype)), name
    assert epochs_done(Path("runs/r/clips.safetensors")) == 1


def test_more_epochs_of_both_stages_begin_the_clips_anew(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(Path("runs/r/spatial.safetensors"), better("encoder."))
    assert train(clip_epochs=2) == 0
    assert capsys.readouterr().out.count(ANEW.format("clips")) == 1
    spatial, clips = (load_file(f"runs/r/{stage}.safetensors") for stage in ("spatial", "clips"))
    for name, value in clips.items():
        if name.startswith("module/best/spatial."):
            assert torch.equal(value, spatial[name.replace("spatial.", "encoder.", 1)]), name


def test_the_joint_stage_begins_anew_where_the_clips_have_changed(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(joint_epochs=1) == 0
    before = Path("runs/r/joint.safetensors").read_bytes()
    assert train(joint_epochs=1) == 0
    assert Path("runs/r/joint.safetensors").read_bytes() == before
    assert "begins anew" not in capsys.readouterr().out
    rewrite(Path("runs/r/clips.safetensors"), better("landmark."))
    assert train(joint_epochs=1) == 0
    out = capsys.readouterr().out
    assert out.count(ANEW.format("joint")) == out.count("begins anew") == 1
    assert Path("runs/r/joint.safetensors").read_bytes() != before


def test_checkpoints_that_do_not_say_what_they_rest_on_are_taken(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(Path("runs/r/clips.safetensors"), lambda _, facts: facts["origin"].pop("rests_on"))
    rewrite(Path("runs/r/spatial.safetensors"), better("encoder."))
    before = Path("runs/r/clips.safetensors").read_bytes()
    assert train() == 0
    assert Path("runs/r/clips.safetensors").read_bytes() == before
    assert "begins anew" not in capsys.readouterr().out


def test_checkpoints_of_before_say_nothing_and_are_taken(train: Train) -> None:
    for path in (Path("runs/r/spatial.safetensors"), Path("runs/r/clips.safetensors")):
        rewrite(path, lambda _, facts: facts.pop("origin"))
    assert train(seed=7) == 0
    assert train(seed=7, epochs=2) == 0  # goes on, and from here on says what it is
    assert read_facts(Path("runs/r/spatial.safetensors"))["origin"]["seed"] == 7
