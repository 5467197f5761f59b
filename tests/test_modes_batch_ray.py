"""Many videos on a local Ray cluster of two machines with one processor each."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import make_video
from test_modes_batch_program import LONG, frames_of, needs_proc, program, run, summary, writer_of

pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
# Ray warns of its own files and settings, in its own threads
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
MEMORY = 80_000_000  # bytes for objects on each machine: a task passes some hundred


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the cluster."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "120")  # for the head; 30 s may not do on a busy machine
    machine = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": MEMORY}
    running = Cluster()
    try:
        running.add_node(wait=False, include_dashboard=False, **machine)  # the head
        running.add_node(wait=False, **machine)
        running.wait_for_nodes(120)  # add_node would wait 30 s for each, which a busy machine may exceed
        yield str(running.address)
    finally:
        running.shutdown()


@needs_proc
def test_videos_are_shared_out_and_those_of_a_killed_worker_are_retried(
    tmp_path: Path, cluster: str, fresh_weights: Path
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    make_video(clips / "a long.mp4", frames=LONG)
    make_video(clips / "b lang ü.mp4", frames=LONG)
    make_video(clips / "c.mp4", frames=5)
    (clips / "d.mp4").write_text("no video\n" * 50)
    flags = ("--video", clips, "--output", "out", "--no-video", "--weights", fresh_weights, "--device", "cpu")
    with program(tmp_path, *flags, "--engine", "ray", RAY_ADDRESS=cluster) as running:
        first = writer_of(out / "a long_results.json.part", running)
        second = writer_of(out / "b lang ü_results.json.part", running)
        assert len({first, second, running.pid}) == 3
        os.kill(first, signal.SIGKILL)
        said, error = running.communicate(timeout=300)
    assert (running.returncode, error) == (1, "")
    assert summary(out) == {"a long.mp4": "read", "b lang ü.mp4": "read", "c.mp4": "read", "d.mp4": "failed"}
    assert frames_of(out / "a long_meta.json") == frames_of(out / "b lang ü_meta.json") == LONG
    assert list(out.glob("*.part")) == []
    assert "3 videos read in" in said


def test_no_cluster_is_one_line(tmp_path: Path, fresh_weights: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "empty").mkdir()
    flags = ("--video", "*.mp4", "--output", "out", "--weights", fresh_weights, "--engine", "ray")
    code, said, error = run(tmp_path, *flags, RAY_ADDRESS="", RAY_TMPDIR=str(tmp_path / "empty"))
    assert (code, said) == (2, "")
    assert error.startswith("error: engine 'ray' found no cluster")
    assert error.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:port"])
def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path, fresh_weights: Path, address: str) -> None:
    make_video(tmp_path / "a.mp4", frames=2)
    flags = ("--video", "*.mp4", "--output", "out", "--weights", fresh_weights, "--engine", "ray")
    code, said, error = run(tmp_path, *flags, RAY_ADDRESS=address)
    assert (code, said) == (2, "")
    assert error.startswith("error: engine 'ray' found no cluster: ")
    assert f"no answer at RAY_ADDRESS {address!r}" in error
    assert error.count("\n") == 1
