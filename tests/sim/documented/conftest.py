"""The raw clients of both wires and the comparison of shapes."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("", "binance", "bybit", "../docs"))]
