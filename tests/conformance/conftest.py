"""The folder of recorded payloads, named by the environment variable TRUEUP_FIXTURES; without it these tests skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def payloads() -> Path:
    named = os.environ.get("TRUEUP_FIXTURES")
    if not named:
        pytest.skip("TRUEUP_FIXTURES is not set: it names the folder of recorded payloads")
    folder = Path(named)
    assert folder.is_dir(), f"TRUEUP_FIXTURES names {named}, which is no folder"
    return folder
