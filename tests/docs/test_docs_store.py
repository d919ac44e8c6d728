"""docs/store.md against the tables, the events and the code that writes them."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from docs_pages import SOURCE, blocks, codes, commands, rows, section

from trueup.model.events import EventType, Severity
from trueup.store.tables import tables_for

PAGE = "docs/store.md"


def _table(heading: str) -> list[list[str]]:
    return list(rows(section(PAGE, heading)))


def test_every_column_of_positions_is_somebodys() -> None:
    told = _table("What a bot may write")
    assert all(cells[1] for cells in told)
    columns = [column.name for column in tables_for("sqlite").positions.columns]
    assert sorted(codes(cells[0])[0] for cells in told) == sorted(columns)


def test_every_table_is_told() -> None:
    told = {codes(cells[0])[0] for cells in _table("The other tables")}
    there = {table.name for table in tables_for("sqlite").metadata.sorted_tables}
    assert told == (there - {"positions"}) | {"trueup_version"}


def test_every_event_is_told_or_named_as_not_written() -> None:
    told = {codes(cells[0])[0]: cells for cells in _table("Events")}
    unwritten = set(codes(section(PAGE, "Events").partition("not written yet:")[2].partition(". ")[0]))
    assert not unwritten & set(told)
    assert set(told) | unwritten == set(EventType)
    for name, cells in told.items():
        assert cells[1].partition(";")[0] in set(Severity), name
        assert cells[2], name
    assert unwritten == {kind.value for kind in EventType if not _is_written(kind)}


def _is_written(kind: EventType) -> bool:
    tellers = {SOURCE / "model" / "events.py", SOURCE / "bootstrap" / "explain.py"}
    for path in SOURCE.rglob("*.py"):
        if path in tellers or "cli" in path.relative_to(SOURCE).parts:
            continue
        if re.search(rf"EventType\.{kind.name}\b|'{kind.value}'", path.read_text(encoding="utf-8")):
            return True
    return False


def _documented_keys() -> dict[str, set[str]]:
    keys: dict[str, set[str]] = {}
    before: set[str] = set()
    for cells in _table("Events"):
        name, data = codes(cells[0])[0], cells[2]
        if data.startswith("as above"):
            keys[name] = before
        elif data.startswith("as `"):
            keys[name] = keys[codes(data)[0]]
        else:
            keys[name] = {key.strip() for key in codes(data)[0].split(",")}
        before = keys[name]
    return keys


def test_the_originals_events_have_exactly_their_keys() -> None:
    keys = _documented_keys()
    assert keys["PHANTOM_POSITION_DETECTED"] == {"symbol", "exchange", "position_id", "reason"}
    assert keys["PHANTOM_POSITION_CLOSED"] == {"symbol", "exchange", "position_id", "reason"}
    assert keys["TRAILING_STOP_REMOVED"] == {"symbol", "position_id", "reason", "realized_pnl"}
    assert keys["ORPHANED_SL_CLEANED"] == {"symbol", "order_id", "order_type", "reason"}


def test_a_whole_lifes_events_have_the_documented_keys() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trueup", "demo", "--keep"], check=True, capture_output=True, text=True, timeout=100
    )
    [folder] = re.findall(r"^Kept in (\S+):", done.stdout, re.MULTILINE)
    with sqlite3.connect(Path(folder) / "trueup-demo.db") as connection:
        written = connection.execute("SELECT type, data FROM events").fetchall()
    keys = _documented_keys()
    seen = {kind for kind, _ in written}
    assert {"PHANTOM_POSITION_CLOSED", "POSITION_CLOSED", "ORPHANED_SL_CLEANED", "MISSING_POSITION_ADDED"} <= seen
    for kind, data in written:
        assert set(json.loads(data)) == keys[kind], kind


def test_an_old_table_is_taken_over_by_the_command_that_the_page_gives(tmp_path: Path) -> None:
    account = '[[accounts]]\nname = "{}"\nvenue = "{}"\napi_key = "env:K"\napi_secret = "env:S"\n'
    config = account.format("main", "binanceusdm") + account.format("bybit-main", "bybit")
    (tmp_path / "trueup.toml").write_text(config, encoding="utf-8")
    with sqlite3.connect(tmp_path / "trueup.db") as connection:
        connection.execute(
            "CREATE TABLE positions (id INTEGER PRIMARY KEY, exchange TEXT, symbol TEXT, side TEXT, quantity REAL, status TEXT)"
        )
        for exchange in ("binance", "bybit", "bybit"):
            connection.execute(
                "INSERT INTO positions (exchange, symbol, side, quantity, status) VALUES (?, 'HIGHUSDT', 'long', 10.5, 'active')",
                (exchange,),
            )
    short, whole = [line for line in commands(PAGE) if "db upgrade" in line]
    refused = subprocess.run(
        [sys.executable, "-m", *short.split()], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert refused.returncode == 2, refused.stdout
    done = subprocess.run(
        [sys.executable, "-m", *whole.split()], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "trueup.db") as connection:
        found = connection.execute("SELECT account, quantity, status FROM positions ORDER BY id").fetchall()
    assert found == [("main", "10.5", "active"), ("bybit-main", "10.5", "superseded"), ("bybit-main", "10.5", "active")]


def test_the_bots_insert_is_accepted(tmp_path: Path) -> None:
    config = tmp_path / "trueup.toml"
    config.write_text(
        '[[accounts]]\nname = "main"\nvenue = "binanceusdm"\napi_key = "env:K"\napi_secret = "env:S"\n',
        encoding="utf-8",
    )
    trueup = [sys.executable, "-m", "trueup"]
    subprocess.run([*trueup, "positions", "--config", str(config)], check=True, capture_output=True, timeout=60)
    [statement] = blocks(PAGE, "sql")
    with sqlite3.connect(tmp_path / "trueup.db") as connection:
        connection.execute(statement.replace("monitoring.", "").replace("now()", "CURRENT_TIMESTAMP"))
    shown = subprocess.run(
        [*trueup, "positions", "--json", "--config", str(config)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    [position] = json.loads(shown.stdout)
    assert (position["account"], position["side"], position["quantity"]) == ("main", "long", "100")
