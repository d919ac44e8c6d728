"""The raw clients of both wires, the comparison of shapes, and the generated parts of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

SIM = Path(__file__).parents[1]
FOLDERS = (SIM / "documented", SIM, SIM / "binance", SIM / "bybit", SIM.parent / "docs")
sys.path[:0] = [str(folder) for folder in FOLDERS]
