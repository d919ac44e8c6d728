"""One module a case; each has `run() -> list[Figure]`. A name that begins with `_` is no case."""
