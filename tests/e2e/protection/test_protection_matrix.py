"""Every start of a position's stops and every change that can follow: covered with at most one stop of ours, or flat with none.

Judged by the venue's own record of orders over time, never by our log.
"""

from __future__ import annotations

import pytest

from tests.support.protection_matrix import PLACES, on_page, played_all, table


@pytest.mark.parametrize(("venue", "hedge"), PLACES, ids=str)
async def test_the_matrix(venue: str, hedge: bool) -> None:
    cells = await played_all(venue, hedge)
    wrong = {where: cell.faults for where, cell in cells.items() if cell is not None and cell.faults}
    assert not wrong
    assert len(cells) == 12 * 7
    assert table(cells) in on_page(), "write it anew: python -m tests.support.protection_matrix --write"
