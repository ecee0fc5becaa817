"""Series with their labeling configs, as people have them, made by chance: known by a seed and a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from xml.sax.saxutils import quoteattr

from tests.support.e2e.generated_files import make_file
from tests.support.e2e.generated_json import make_json
from tests.support.e2e.generated_table import make_table

ADDRESS = "/generated-series/"


@dataclass(frozen=True)
class Example:
    """A task and its labeling config, and what is known of them.

    `content` is the file behind the task's address. `missing` are the rows of each channel whose cell
    is not a plain number. `regions` are pairs of first and last row. `kinds` say what is special.
    """

    name: str
    config: str
    data: dict[str, Any]
    content: bytes
    channels: tuple[str, ...]
    missing: Mapping[str, frozenset[int]]
    rows: int
    regions: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        held = self.content or self.data
        return "\n".join([f"{self.name}: {', '.join(self.kinds)}", self.config, f"{held!r:.1500}"])


def make_example(seed: int, number: int) -> Example:
    random = Random(f"{seed}/{number}")
    table = make_table(random)
    make = make_json if random.random() < 0.2 else make_file
    task = make(random, table, f"{ADDRESS}{number}")
    time = {"timeColumn": table.time.reference} if table.time else {}
    if table.time_format:
        time["timeFormat"] = table.time_format
    elif not time and random.random() < 0.1:
        time["timeFormat"] = "%Y-%m-%d %H:%M:%S"
        table.kinds.append("timeFormat without timeColumn")
    channels = tuple(column.reference for column in table.channels)
    return Example(
        name=f"seed-{seed}-example-{number}",
        config=_config(channels, task.attributes | time),
        data=task.data,
        content=task.content,
        channels=channels,
        missing={column.reference: frozenset(column.missing) for column in table.channels},
        rows=table.rows,
        regions=_regions(random, table.rows),
        kinds=tuple(table.kinds),
    )


def _regions(random: Random, rows: int) -> tuple[tuple[int, int], ...]:
    """One anywhere, an instant, and the whole series."""
    first, last = sorted(random.choices(range(rows), k=2))
    instant = random.randrange(rows)
    return tuple(dict.fromkeys([(first, last), (instant, instant), (0, rows - 1)]))


def _config(channels: Sequence[str], attributes: Mapping[str, str]) -> str:
    written = "".join(f" {name}={_quoted(value)}" for name, value in attributes.items())
    tags = "".join(f"<Channel column={_quoted(name)}/>" for name in channels)
    return (
        '<View><TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/>'
        f'</TimeSeriesLabels><TimeSeries name="ts"{written}>{tags}</TimeSeries></View>'
    )


def _quoted(value: str) -> str:
    return quoteattr(value, {"\t": "&#9;"})
