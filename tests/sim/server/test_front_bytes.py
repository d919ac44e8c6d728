"""The same seed gives the same bytes on both wires (wire.py, invariant 1), in any process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


async def digest(seed: int, hash_seed: int) -> list[str]:
    script = Path(__file__).with_name("wire_bytes.py")
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(seed), stdout=asyncio.subprocess.PIPE, env=environment
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().split()


async def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    first, again, other = await asyncio.gather(digest(11, 1), digest(11, 2), digest(12, 1))
    assert first == again
    assert first[0] != other[0]
    assert int(first[1]) > 50
