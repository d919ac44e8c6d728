"""Lines are found wherever TOML allows a key to stand."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.config.lines import KeyLines

TEXT = '''\
top = 1  # [not.a.table]
"quoted key" = 2

[a.b]
list = [
  "x", # ]
  "]",
]
after = 'C:\\'
text = """
[fake]
fake = 1
"""
dotted.key = 1

[[rows]]
x = 1
[rows.inner]
y = 2
[[rows]]
x = """a""""
z = {q = 1}
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("quoted key",), 2),
        (("a", "b"), 4),
        (("a", "b", "list"), 5),
        (("a", "b", "list", 1), 5),
        (("a", "b", "after"), 9),
        (("a", "b", "text"), 10),
        (("a", "b", "dotted", "key"), 14),
        (("rows", 0), 16),
        (("rows", 0, "x"), 17),
        (("rows", 0, "inner", "y"), 19),
        (("rows", 1, "x"), 21),
        (("rows", 1, "z", "q"), 22),
        (("rows", 1, "missing"), 20),
        (("fake",), None),
        (("nowhere",), None),
    ],
)
def test_line_of(path: tuple[str | int, ...], line: int | None) -> None:
    tomllib.loads(TEXT)

    assert KeyLines(TEXT).of(path) == line


_value = st.sampled_from(
    ['"a # b"', "'c ] d'", '"""x\n[y]\nz = 1\n"""', "[1,\n 2, # ]\n 3]", "'''it's\n'''", "{a = 1}", "1.5"]
)
_filler = st.lists(st.sampled_from(["", "# a = 1", "   # [x]"]), max_size=3)


@given(rows=st.lists(st.tuples(_filler, _value), min_size=1, max_size=8))
def test_every_statement_is_found_after_whatever_stands_before_it(rows: list[tuple[list[str], str]]) -> None:
    text, expected = "", {}
    for index, (filler, value) in enumerate(rows):
        text += "".join(f"{row}\n" for row in filler)
        expected[f"k{index}"] = text.count("\n") + 1
        text += f"k{index} = {value}\n"

    assert set(tomllib.loads(text)) == set(expected)
    lines = KeyLines(text)
    assert {key: lines.of((key,)) for key in expected} == expected
