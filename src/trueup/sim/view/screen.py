"""The screen: a snapshot drawn to fit a terminal of any size.

1. A pure function of the snapshot, the terminal's size and whether it can show more than ASCII.
2. It is never taller or wider than the terminal: sections give up rows, the longest first, and say how many they hide.
3. Colour only underlines what the words say; without colours nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trueup.sim.faults import Planned
from trueup.sim.journal import Asked
from trueup.sim.view.happenings import Happening, fault_text, hits_text
from trueup.sim.view.snapshot import AccountRow, OrderRow, PositionRow, PriceRow, Snapshot, StreamRow
from trueup.sim.view.words import amount_text, clock_text, date_text, duration_text, money_text, price_text
from trueup.sim.world.types import ConditionalOrder, Order, Venue

_TWO_COLUMNS_FROM = 100
_BOTTOM_WANTED = 9
_BOTTOM_LEAST = 3
_FEW = 3
_KEYS_SHOWN = 40
"""Characters of key and secret together that a row has room for; longer ones are said at the start."""
_NARROW = 100
_NAME = 12
_ERRORS_FROM = 400
Cell = str | Text


@dataclass(frozen=True, slots=True)
class _Column:
    """`drop`: left out below that many terminal columns."""

    header: str
    right: bool = False
    drop: int = 0
    grows: bool = False


@dataclass(slots=True)
class _Section:
    """A headed list of rows; `shown` rows of it are drawn."""

    columns: Sequence[_Column]
    rows: list[Sequence[Cell]]
    shown: int = 0

    @property
    def height(self) -> int:
        return self.shown + 1

    def draw(self, width: int) -> Table:
        kept = [index for index, column in enumerate(self.columns) if width >= column.drop]
        table = Table(box=None, padding=(0, 2, 0, 0), expand=False, header_style="dim", pad_edge=False, width=width)
        for index in kept:
            column = self.columns[index]
            table.add_column(
                column.header,
                justify="right" if column.right else "left",
                no_wrap=True,
                overflow="ellipsis",
                ratio=1 if column.grows else None,
                min_width=_NAME if index == 0 and len(self.columns) > _FEW else None,
            )
        hidden = len(self.rows) - self.shown
        rows = self.rows[: self.shown - 1] if hidden > 0 else self.rows
        for row in rows:
            table.add_row(*(row[index] for index in kept))
        if hidden > 0 and self.shown:
            table.add_row(Text(f"and {hidden + 1} more", style="dim"), *("" for _ in kept[1:]))
        return table


def screen(shot: Snapshot, width: int, height: int, *, ascii_only: bool = False) -> RenderableType:
    """Draws it; every line is at most `width` wide, and there are at most `height` lines."""
    head = [*_head(shot, width), *_price_lines(shot.prices, width, ascii_only), Text()]
    sections = [_accounts(shot), _positions(shot.positions), _orders(shot.orders)]
    wide = width >= _TWO_COLUMNS_FROM
    sides = [section for section in (_faults(shot), _streams(shot.streams)) if section is not None]
    bottom = _fit(sections, sides, height - len(head), wide=wide)
    parts: list[RenderableType] = [*head]
    for section in sections:
        if section.shown:
            parts += [section.draw(width), Text()]
    visible = [side for side in sides if side.shown]
    if visible:
        parts += [_beside([side.draw(_share(width, visible, wide)) for side in visible], width, wide), Text()]
    if bottom >= _BOTTOM_LEAST:
        parts.append(_bottom(shot, width, bottom, wide=wide))
    return Group(*parts)


def _share(width: int, visible: Sequence[object], wide: bool) -> int:
    return (width - 2) // 2 if wide and len(visible) > 1 else width


def _fit(sections: list[_Section], sides: list[_Section], room: int, *, wide: bool) -> int:
    """Says how many rows each section shows; returns the lines that are left for the bottom."""
    everything = [*sections, *sides]
    for section in everything:
        section.shown = len(section.rows)
    wanted = max(_BOTTOM_LEAST, min(_BOTTOM_WANTED, room // 4))
    for left, least in ((wanted, _FEW), (_BOTTOM_LEAST, _FEW), (_BOTTOM_LEAST, 1)):
        while _used(sections, sides, wide) > room - left:
            longest = max(everything, key=lambda section: section.shown)
            if longest.shown <= least:
                break
            longest.shown -= 1
        if left == wanted and _used(sections, sides, wide) > room - _BOTTOM_LEAST:
            for side in sides:
                side.shown = 0
    for section in (*reversed(sides), *reversed(sections)):
        if _used(sections, sides, wide) <= room:
            break
        section.shown = 0
    return room - _used(sections, sides, wide)


def _used(sections: list[_Section], sides: list[_Section], wide: bool) -> int:
    lines = sum(section.height + 1 for section in sections if section.shown)
    beside = [side.height for side in sides if side.shown]
    if beside:
        lines += (max(beside) if wide else sum(beside)) + 1
    return lines


def _beside(tables: list[Table], width: int, wide: bool) -> RenderableType:
    if not wide or len(tables) == 1:
        return Group(*tables)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=False)
    for _ in tables:
        grid.add_column(width=(width - 2) // 2)
    grid.add_row(*tables)
    return grid


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _head(shot: Snapshot, width: int) -> list[Text]:
    narrow = width < _NARROW
    separator = (" · " if narrow else "  ·  ", "dim")
    streams: tuple[str | tuple[str, str], ...] = () if narrow else (("   streams ", "dim"), shot.ws_url)
    first = _line(
        ("trueup venue", "bold"),
        ("   REST ", "dim"),
        shot.rest_url,
        *streams,
        ("   control ", "dim"),
        shot.control_url,
    )
    on = sum(1 for planned in shot.faults if not planned.spent)
    second = _line(
        clock_text(shot.now_ms, milliseconds=False) if narrow else date_text(shot.now_ms),
        separator,
        f"up {duration_text(shot.up_s)}",
        separator,
        (f"{shot.per_second:.1f} requests/s", "bold"),
        separator,
        f"{shot.requests_total:,} {_plural(shot.requests_total, 'request')}",
        separator,
        f"{len(shot.streams)} {_plural(len(shot.streams), 'stream')}",
        separator,
        (f"{on} {_plural(on, 'fault')} on", "bold yellow" if on else "dim"),
        separator,
        ("ctrl-c stops", "dim"),
    )
    lines = [first, second, Text()]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def _price_lines(prices: Sequence[PriceRow], width: int, ascii_only: bool) -> list[Text]:
    """One line a venue: what fits, the contracts that moved first."""
    rise, fall = ("+", "-") if ascii_only else ("↑", "↓")
    marks = {1: (rise, "green"), -1: (fall, "red"), 0: ("", "")}
    venues: dict[Venue, list[PriceRow]] = {}
    for row in prices:
        venues.setdefault(row.spec.venue, []).append(row)
    lines = []
    for venue, rows in venues.items():
        line = _line((f"{venue:<8}", "dim"))
        for row in rows:
            text, style = marks[row.move]
            part = _line("  ", (row.spec.symbol, "dim"), f" {price_text(row.price.last, row.spec)}", (text, style))
            if line.cell_len + part.cell_len > width:
                break
            line.append_text(part)
        line.truncate(width)
        lines.append(line)
    return lines


def _accounts(shot: Snapshot) -> _Section:
    columns: tuple[_Column, ...] = (
        _Column("ACCOUNT"),
        _Column("VENUE"),
        _Column("MODE", drop=70),
        _Column("WALLET", right=True),
        _Column("OPEN PNL", right=True),
        _Column("POSITIONS", right=True, drop=80),
        _Column("ORDERS", right=True, drop=90),
        _Column("STREAMS", right=True, drop=100),
        _Column("REQUESTS", right=True),
    )
    rows: list[Sequence[Cell]] = [_account_cells(row) for row in shot.accounts]
    if all(len(row.spec.api_key + row.spec.api_secret) <= _KEYS_SHOWN for row in shot.accounts):
        columns += (_Column("KEY", drop=140), _Column("SECRET", drop=140, grows=True))
        keys = [(row.spec.api_key, row.spec.api_secret) for row in shot.accounts]
        rows = [(*row, *(Text(key, style="dim") for key in pair)) for row, pair in zip(rows, keys, strict=True)]
    more = shot.accounts_total - len(shot.accounts)
    if more:
        rows.append((Text(f"and {more:,} more", style="dim"), *("" for _ in columns[1:])))
    return _Section(columns, rows)


def _account_cells(row: AccountRow) -> Sequence[Cell]:
    wallet, gain = Text("–", style="dim"), Text("–", style="dim")
    if row.money:
        asset, amount, unrealized = max(row.money, key=lambda money: (money[2] != 0, money[0] == "USDT"))
        others = len(row.money) - 1
        more = f" +{others}" if others else ""
        wallet = Text.assemble(f"{money_text(amount, asset)} {asset}", (more, "dim"))
        gain = _gain(unrealized, asset)
    return (
        Text(row.spec.name, style="bold"),
        row.spec.venue,
        str(row.mode).replace("_", "-"),
        wallet,
        gain,
        str(row.positions),
        str(row.orders),
        str(row.streams),
        f"{row.requests:,}",
    )


def _gain(amount: Decimal, asset: str) -> Text:
    style = "green" if amount > 0 else "red" if amount < 0 else "dim"
    return Text(f"{money_text(amount, asset, signed=True)}", style=style)


def _positions(rows: Sequence[PositionRow]) -> _Section:
    columns = (
        _Column("POSITION"),
        _Column("OF"),
        _Column("SIDE"),
        _Column("QUANTITY", right=True),
        _Column("ENTRY", right=True),
        _Column("MARK", right=True),
        _Column("PNL", right=True),
        _Column("SETTLED IN", drop=110),
        _Column("LIQUIDATION", right=True, drop=90),
        _Column("SINCE", drop=120),
    )
    return _Section(columns, [_position_cells(row) for row in rows] or [_nothing("none open", len(columns))])


def _nothing(words: str, columns: int) -> Sequence[Cell]:
    return (Text(words, style="dim"), *("" for _ in range(columns - 1)))


def _position_cells(row: PositionRow) -> Sequence[Cell]:
    position, spec = row.position, row.spec
    long = position.quantity > 0
    return (
        Text(position.symbol, style="bold"),
        position.account,
        Text("long" if long else "short", style="green" if long else "red"),
        amount_text(abs(position.quantity)),
        price_text(position.entry_price, spec),
        price_text(row.mark, spec),
        _gain(row.unrealized, spec.settle),
        spec.settle,
        price_text(row.liquidation, spec),
        clock_text(position.opened_ms, milliseconds=False),
    )


def _orders(rows: Sequence[OrderRow]) -> _Section:
    columns = (
        _Column("STOP OR ORDER"),
        _Column("OF"),
        _Column("KIND"),
        _Column("SIDE"),
        _Column("QUANTITY", right=True),
        _Column("TRIGGER", right=True),
        _Column("BY", drop=80),
        _Column("LIMIT", right=True, drop=80),
        _Column("CLOSES", drop=90),
        _Column("ID", right=True, drop=110),
    )
    return _Section(columns, [_order_cells(row) for row in rows] or [_nothing("none waits", len(columns))])


def _order_cells(row: OrderRow) -> Sequence[Cell]:
    order, spec = row.order, row.spec
    if isinstance(order, ConditionalOrder):
        kind = str(order.kind).replace("_", " ") + (" (attached)" if order.attached is not None else "")
        size = "all" if order.quantity is None else amount_text(order.quantity)
        by, closes, number = str(order.trigger_by), order.closes, order.conditional_id
        trigger = price_text(order.trigger_price, spec)
    else:
        kind, size, by, trigger = str(order.type), _remaining(order), "", ""
        closes, number = order.reduce_only or order.close_position, order.order_id
    limit = price_text(order.price, spec) if order.price is not None else ""
    name = Text(order.symbol, style="bold")
    return name, order.account, kind, str(order.side), size, trigger, by, limit, "yes" if closes else "no", str(number)


def _remaining(order: Order) -> str:
    left = amount_text(order.remaining)
    return left if not order.filled_quantity else f"{left} of {amount_text(order.quantity)}"


def _faults(shot: Snapshot) -> _Section | None:
    if not shot.faults:
        return None
    columns = (_Column("FAULT", right=True), _Column("WHAT AND WHERE", grows=True), _Column("STATE", right=True))
    faults = sorted(shot.faults, key=lambda planned: planned.spent)
    return _Section(columns, [_fault_cells(planned, shot.now_ms) for planned in faults])


def _fault_cells(planned: Planned, now_ms: int) -> Sequence[Cell]:
    fault = planned.fault
    over = planned.spent or (fault.until_ms is not None and now_ms >= fault.until_ms)
    state = hits_text(planned)
    if not over and fault.from_ms is not None and now_ms < fault.from_ms:
        state += f", from {clock_text(fault.from_ms, milliseconds=False)}"
    elif not over and fault.until_ms is not None:
        state += f", until {clock_text(fault.until_ms, milliseconds=False)}"
    elif over:
        state += ", over"
    style = "dim" if over else "yellow"
    return Text(str(planned.fault_id), style=style), Text(fault_text(fault), style=style), Text(state, style=style)


def _streams(rows: Sequence[StreamRow]) -> _Section | None:
    if not rows:
        return None
    columns = (_Column("STREAM", grows=True), _Column("OF"), _Column("SENT", right=True))
    return _Section(columns, [(row.path, row.account or Text("–", style="dim"), f"{row.sent:,}") for row in rows])


def _bottom(shot: Snapshot, width: int, lines: int, *, wide: bool) -> RenderableType:
    """The newest requests and happenings, newest last, side by side where there is room."""
    if wide:
        share = (width - 2) // 2
        return _beside(
            [_requests(shot.requests, lines).draw(share), _happened(shot.happenings, lines).draw(share)], width, wide
        )
    half = lines // 2
    if half < _BOTTOM_LEAST:
        return _requests(shot.requests, lines).draw(width)
    return Group(_requests(shot.requests, half).draw(width), _happened(shot.happenings, lines - half).draw(width))


def _requests(asked: Sequence[Asked], lines: int) -> _Section:
    columns = (_Column("REQUEST"), _Column("", grows=True), _Column("OF"), _Column("ANSWER", right=True))
    kept = asked[-(lines - 1) :]
    rows = [_request_cells(each) for each in kept] or [_nothing("none yet", len(columns))]
    return _Section(columns, rows, shown=len(rows))


def _request_cells(asked: Asked) -> Sequence[Cell]:
    answer = "lost" if asked.status is None else str(asked.status)
    kinds = " ".join(dict.fromkeys(str(fault.kind) for fault in asked.faults))
    bad = asked.status is None or asked.status >= _ERRORS_FROM or kinds
    symbol = f" {asked.symbol}" if asked.symbol else ""
    return (
        Text(clock_text(asked.at_ms), style="dim"),
        f"{asked.request.method} {asked.request.path}{symbol}",
        asked.account or Text("–", style="dim"),
        Text(f"{answer} {kinds}".rstrip(), style="yellow" if bad else "green"),
    )


def _happened(told: Sequence[Happening], lines: int) -> _Section:
    columns = (_Column("HAPPENED"), _Column(""), _Column("", grows=True))
    kept = told[-(lines - 1) :]
    rows: list[Sequence[Cell]] = [(Text(clock_text(each.at_ms), style="dim"), each.who, each.text) for each in kept]
    return _Section(columns, rows or [_nothing("nothing yet", len(columns))], shown=len(rows) or 1)
