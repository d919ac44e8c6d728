"""Measures trueup: `make bench`, or `python -m bench [CASE …]`.

1. A case is a module of `bench.cases` with a function `run() -> list[Figure]`; adding one needs nothing else.
2. A case with `LONG = True` runs only when it is named: `python -m bench budget` takes half an hour.
3. Each case runs in a process of its own: what one leaves in memory is not in another's figures.
4. A figure that has a reference was measured beside it in the same run, on the same machine.
"""
