"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of research data and real clips beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the research data in {SHARED}, which is not part of the repository")
    return SHARED
