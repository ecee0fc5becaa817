"""Tables of a time series, made by chance: its time, its channels, and cells without a value."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.support.e2e.generated_times import make_times

NAMES = ("ax", "Ay", "gyro z", "1st", "größe", "T (°C)")
NUMBERS = ("{:.3f}", "{:.0f}", "{:g}", "{:e}", "{:+.2f}", "{:06.1f}", "{:.12f}")
MISSING = (
    *("", " ", "NaN", "nan", "NA", "N/A", "null", "None", "?", "-", "--", ".", "NaN  ", "\u00a0"),
    *("1.#QNAN", "-1.#IND", "1.#INF", "inf", "Infinity", "-Infinity", "#N/A", "-nan", "1e400", "0x1F"),
)


@dataclass
class Column:
    """A column: its name, its cells as they are written, and how the config refers to it.

    `missing` are the rows, from 0, whose cell is not a plain number.
    """

    name: str
    cells: list[str]
    missing: set[int] = field(default_factory=set)
    reference: str = ""


@dataclass
class Table:
    """A series before it is written down. `kinds` say what is special.

    `time_format` is "" where the time is a number.
    """

    time: Column | None
    time_format: str
    channels: list[Column]
    kinds: list[str]

    @property
    def rows(self) -> int:
        return len(self.channels[0].cells)


@dataclass(frozen=True)
class Task:
    """A table written down: the task's data, the file behind its address, attributes of `TimeSeries`."""

    data: dict[str, Any]
    content: bytes
    attributes: dict[str, str]


def make_table(random: Random) -> Table:
    rows = random.choice([*range(12, 41), 1, 2, 3])
    names = random.sample(NAMES, 3) if random.random() < 0.3 else ["a", "b", "c"]
    table = Table(None, "", [], [])
    if random.random() < 0.85:
        kind, table.time_format, cells = make_times(random, rows)
        table.time = Column("time", cells)
        table.kinds.append(kind)
    table.channels = [_channel(random, name, rows) for name in names[: random.randint(1, 3)]]
    for channel in table.channels:
        if channel.missing:
            table.kinds.append(f"missing {channel.cells[min(channel.missing)]!r}")
    return table


def _channel(random: Random, name: str, rows: int) -> Column:
    form = random.choice(NUMBERS)
    column = Column(name, [form.format(random.gauss(0, 30)) for _ in range(rows)])
    if random.random() < 0.2:
        mark = random.choice(MISSING)
        column.missing = set(random.sample(range(rows), random.choice([1, 1, min(3, rows), rows])))
        for row in column.missing:
            column.cells[row] = mark
    return column
