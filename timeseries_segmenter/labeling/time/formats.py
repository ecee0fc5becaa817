"""d3 time formats, read and printed as Label Studio's editor does: in English and UTC."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import TimeFormatError
from timeseries_segmenter.labeling.time.directives import (
    COMPOSED,
    DIRECTIVES,
    MS_PER_DAY,
    Directive,
    Moment,
    Numbers,
    Part,
)
from timeseries_segmenter.labeling.time.foreign import STRFTIME, translate_letters
from timeseries_segmenter.labeling.time.text import TimeTexts, as_bytes

_LIMIT = 8_640_000_000_000_000  # a JavaScript date ends here, in ms on both sides of 1970
_ROWS = 1 << 15  # so many texts at a time stay in the processor's cache
MAX_FORMAT = 200  # characters

# A directive and its padding, or literal text
_Token = tuple[Directive, str] | str


class Reading(Enum):
    """Where a time is read; the editor reads digits after a dot as a fraction only in text cells."""

    CELL = "text of a cell"
    NUMBER = "a number as JavaScript prints it; `%f` is read as `%L` there"
    REGION = "start or end of a region"


class TimeTextError(TimeFormatError):
    """A text that doesn't match its time format: `text` in `row` (from 0)."""

    def __init__(self, row: int, text: str, time_format: str) -> None:
        super().__init__(f'{text!r} is not a time of the form "{time_format}"')
        self.row = row
        self.text = text


class TimeFormat:
    """A d3 time format such as `"%Y-%m-%d %H:%M:%S"`.

    Numbers are read with or without their padding, and days or hours beyond their range
    roll over (31 February is 2 March), as in the editor. Digits after a dot are a fraction:
    `.5` is 500 ms. There is nothing finer than a millisecond: `%f` reads and prints one as
    three digits more.

    `literals` is all text between its `directives`.

    Raises:
        TimeFormatError: a directive is unknown, there is none, or the format is too long.

    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_FORMAT:
            raise TimeFormatError(
                f'The time format "{text[:40]}…" has {len(text)} characters; correct timeFormat '
                f"(it has at most {MAX_FORMAT})."
            )
        self.text = text
        self._tokens = list(_tokens(text))
        self.directives = tuple(token[0] for token in self._tokens if not isinstance(token, str))
        self.literals = "".join(token for token in self._tokens if isinstance(token, str))
        if not self.directives:
            translated = translate_letters(text)
            raise TimeFormatError(
                f'The time format "{text}" has no directive, such as %Y; correct timeFormat'
                + (f" (write {translated} instead)." if translated else ".")
            )
        self._width = len(self.literals.encode()) + sum(directive.most for directive in self.directives)

    def __repr__(self) -> str:
        return f"TimeFormat({self.text!r})"

    def parse(self, texts: Sequence[str] | NDArray[np.object_], reading: Reading = Reading.CELL) -> Numbers:
        """Milliseconds since 1970, `(T,)` int64.

        Raises:
            TimeTextError: a text doesn't match; its `row` is the first such.

        """
        times, fits = self.try_parse(texts, reading)
        if not fits.all():
            row = int(np.argmin(fits))
            raise TimeTextError(row, texts[row], self.text)
        return times

    def try_parse(
        self, texts: Sequence[str] | NDArray[np.object_], reading: Reading
    ) -> tuple[Numbers, NDArray[np.bool_]]:
        """Milliseconds since 1970, `(T,)` int64, and which texts match; the times of others mean nothing."""
        times = np.empty(len(texts), dtype=np.int64)
        fits = np.empty(len(texts), dtype=np.bool_)
        for start in range(0, len(texts), _ROWS):
            part = slice(start, start + _ROWS)
            times[part], fits[part] = self._read(as_bytes(texts[part], self._width + 1), reading)
        return times, fits

    def format(self, milliseconds: float) -> str:
        """A time as d3 prints it."""
        moment = Moment(int(milliseconds))
        return "".join(
            token if isinstance(token, str) else token[0].print(moment, token[1]) for token in self._tokens
        )

    def _read(self, cells: NDArray[np.bytes_], reading: Reading) -> tuple[Numbers, NDArray[np.bool_]]:
        texts = TimeTexts(cells)
        parts: dict[Part, Numbers] = {}
        before = ""
        for token in self._tokens:
            if isinstance(token, str):
                texts.literal(token)
                before = token
                continue
            directive, _ = token
            if reading is Reading.NUMBER and directive.letter == "f":
                directive = DIRECTIVES["L"]
            if directive.part == "zone":
                number = texts.zone()
            elif directive.names:
                number = texts.name(directive.names)
            else:
                is_fraction = (
                    reading is Reading.CELL and directive.part == "millisecond" and before.endswith(".")
                )
                number = texts.number(directive.most, fraction=is_fraction)
            parts[directive.part] = directive.read(number) if directive.read else number
            if directive.zero:
                parts[directive.zero] = np.zeros_like(number)
            before = ""
        texts.end()
        times, valid = _milliseconds(parts, len(cells))
        return times, texts.fits & valid


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    for match in re.finditer(r"%([-_0]?)(.?)", text, re.DOTALL):
        if match.start() > place:
            yield text[place : match.start()]
        place = match.end()
        modifier, letter = match.groups()
        if letter == "%":
            yield "%"
        elif letter in COMPOSED:
            yield from _tokens(COMPOSED[letter])
        elif directive := DIRECTIVES.get(letter):
            yield directive, {"": directive.padding, "0": "0", "_": " ", "-": ""}[modifier]
        else:
            translated = STRFTIME.get(letter)
            advice = (
                f"write {translated} instead"
                if translated
                else "it takes d3's directives, such as %Y-%m-%d %H:%M:%S"
            )
            raise TimeFormatError(
                f'The time format "{text}" has the unknown directive "{match[0]}"; '
                f"correct timeFormat ({advice})."
            )
    if place < len(text):
        yield text[place:]


def _milliseconds(parts: Mapping[Part, Numbers], length: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """What the parts mean together, and whether they can."""

    def part(name: Part, default: int) -> Numbers:
        return parts[name] if name in parts else np.full(length, default)

    valid: NDArray[np.bool_] = np.ones(length, dtype=np.bool_)
    if "milliseconds since 1970" in parts:
        times = parts["milliseconds since 1970"]
    elif "seconds since 1970" in parts:
        seconds = parts["seconds since 1970"]
        valid = seconds <= _LIMIT // 1000
        times = np.where(valid, seconds, 0) * 1000 + part("millisecond", 0)
    else:
        year, hour = part("year", 1900), part("hour", 0)
        if "half-day" in parts:
            hour = hour % 12 + parts["half-day"] * 12
        if "ISO week" in parts:
            week = parts["ISO week"]
            valid = (week >= 1) & (week <= 53)
            january4 = _first_day(year) + 3
            days = january4 - (january4 + 3) % 7 + (week - 1) * 7 + (part("weekday", 1) + 6) % 7
        elif "week from Monday" in parts or "week from Sunday" in parts:
            weekday = part("weekday", 1 if "week from Monday" in parts else 0)
            if "weekday from Monday" in parts and "weekday" not in parts:
                weekday = parts["weekday from Monday"] % 7
            january1 = _first_day(year)
            if "week from Monday" in parts:
                days = january1 - 1 + (weekday + 6) % 7 + parts["week from Monday"] * 7 - (january1 + 9) % 7
            else:
                days = january1 - 1 + weekday + parts["week from Sunday"] * 7 - (january1 + 10) % 7
        else:
            month = parts["month"] if "month" in parts else (part("quarter", 1) - 1) * 3
            days = _first_day(year, month) + part("day", 1) - 1
        minutes = hour * 60 + part("minute", 0) - part("zone", 0)
        times = days * MS_PER_DAY + minutes * 60_000 + part("second", 0) * 1000 + part("millisecond", 0)
    return times, valid & (np.abs(times) <= _LIMIT)


def _first_day(year: Numbers, month: Numbers | int = 0) -> Numbers:
    """Days from 1970 to the first day of a month, numbered from 0 and beyond 11 too."""
    months = (year - 1970) * 12 + month
    days: Numbers = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days
