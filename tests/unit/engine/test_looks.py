"""What a look leaves for the stream to decide on."""

from __future__ import annotations

import pytest

from tests.unit.core.core_cases import BTC, T0, case, report, row
from trueup.core.cases import Verified
from trueup.core.settlement import Settlement
from trueup.engine.looks import found_true
from trueup.ports import Committed


@pytest.mark.parametrize("settled", [True, False])
def test_a_row_whose_newest_fills_are_not_visible_yet_is_not_for_the_stream_to_decide(settled: bool) -> None:
    about = case(row(seen=T0, changed=T0), report(changed=T0))
    assert about.row is not None
    assert about.report is not None
    verdict = Verified(row=about.row, report=about.report, settled=settled)
    found = found_true(0.0, [(about, verdict)], Settlement(), Committed())
    assert (BTC in found.doubtful) is not settled
    assert dict(found.keys) == {about.row.position_id: about.key}
