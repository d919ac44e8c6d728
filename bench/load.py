"""A client that asks as fast as it is answered: `python -m bench.load URL FILE SECONDS`.

FILE holds a JSON list of whole HTTP requests. Eight connections take them in turn, over and over; half a second passes
before counting begins. Prints `{"count": …, "seconds": …}`; an answer other than 200 ends it with an error.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CONNECTIONS, WARM_UP_S = 8, 0.5


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer with a Content-Length."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    length = next(int(value) for name, value in headers.items() if name.lower() == "content-length")
    return int(lines[0].split(" ")[1]), headers, await reader.readexactly(length)


class Counter:
    def __init__(self) -> None:
        self.counted_from = time.perf_counter() + WARM_UP_S
        self.count = 0


async def _ask(host: str, port: int, requests: Iterator[bytes], counter: Counter, until: float) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while (now := time.perf_counter()) < until:
        writer.write(next(requests))
        status, _, body = await read_answer(reader)
        if status != 200:
            raise RuntimeError(f"answered {status}: {body[:200]!r}")
        counter.count += now >= counter.counted_from
    writer.close()
    await writer.wait_closed()


async def load(url: str, requests: list[bytes], seconds: float) -> dict[str, float]:
    """Asks for that long; how many requests were answered, and within how many seconds."""
    host, _, port = url.removeprefix("http://").partition(":")
    counter, turn = Counter(), itertools.cycle(requests)
    until = counter.counted_from + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_ask(host, int(port), turn, counter, until))
    return {"count": counter.count, "seconds": time.perf_counter() - counter.counted_from}


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(asyncio.run(load(sys.argv[1], [text.encode() for text in given], float(sys.argv[3])))))
