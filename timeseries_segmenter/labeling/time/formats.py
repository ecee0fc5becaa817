"""d3 time formats, read and printed as Label Studio's editor does: in English and UTC."""

import re
from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.errors import TimeFormatError
from timeseries_segmenter.labeling.time.moment import DAY, DIGITS, NAMES, Moment
from timeseries_segmenter.labeling.time.text import TimeTexts, as_bytes

_LIMIT = 8_640_000_000_000_000  # a JavaScript date ends here, in ms on both sides of 1970
_ROWS = 1 << 15  # so many texts at a time stay in the processor's cache
MAX_FORMAT = 200  # characters

COMPOSED = {"c": "%-m/%-d/%Y, %-I:%M:%S %p", "x": "%-m/%-d/%Y", "X": "%-I:%M:%S %p"}
# Directives that set the same field as another one; of several, the last one counts.
_FIELDS = {"a": "w", "A": "w", "b": "m", "B": "m", "e": "d", "f": "L", "g": "Y", "G": "Y", "I": "H", "y": "Y"}
_ZONE_WIDTH = 6

_Numbers = NDArray[np.int64]


class Reading(Enum):
    """What a time stands in; the editor reads digits after a dot as a fraction only in text cells."""

    CELL = "text of a cell"
    NUMBER = "a number as JavaScript prints it; `%f` is read as `%L` there"
    REGION = "start or end of a region"


class TimeTextError(TimeFormatError):
    """A text that doesn't match its time format: `row` (from 0) and `text` tell which."""

    def __init__(self, row: int, text: str, time_format: str) -> None:
        super().__init__(f'{text!r} is no time of the form "{time_format}"')
        self.row = row
        self.text = text


class TimeFormat:
    """A d3 time format such as `"%Y-%m-%d %H:%M:%S"`.

    Numbers are read with or without their padding, and days or hours beyond their range
    roll over (31 February is 2 March), as in the editor. Digits after a dot are a fraction:
    `.5` is 500 ms. There is nothing finer than a millisecond: `%f` reads and prints one as
    three digits more.

    `directives` are those that it has, without `%` and padding; `literals` is all text between them.

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
        self.directives = frozenset(directive for directive, _ in self._tokens if directive)
        self.literals = "".join(rest for directive, rest in self._tokens if not directive)
        if not any(directive for directive, _ in self._tokens):
            raise TimeFormatError(
                f'The time format "{text}" has no directive, such as %Y; correct timeFormat.'
            )
        self._width = sum(_width(directive, rest) for directive, rest in self._tokens)

    def __repr__(self) -> str:
        return f"TimeFormat({self.text!r})"

    def parse(self, texts: Sequence[str] | NDArray[np.object_], reading: Reading = Reading.CELL) -> _Numbers:
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
    ) -> tuple[_Numbers, NDArray[np.bool_]]:
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
            moment.print(directive, rest) if directive else rest for directive, rest in self._tokens
        )

    def _read(self, cells: NDArray[np.bytes_], reading: Reading) -> tuple[_Numbers, NDArray[np.bool_]]:
        texts = TimeTexts(cells)
        fields: dict[str, _Numbers] = {}
        before = ""
        for directive, rest in self._tokens:
            if not directive:
                texts.literal(rest)
            elif directive == "Z":
                fields["Z"] = texts.zone()
            else:
                field = _FIELDS.get(directive, directive)
                if directive in NAMES:
                    fields[field] = texts.name(NAMES[directive])
                else:
                    if reading is Reading.NUMBER and directive == "f":
                        directive = "L"
                    fraction = reading is Reading.CELL and directive in "Lf" and before.endswith(".")
                    number = texts.number(DIGITS[directive], fraction=fraction)
                    fields[field] = _meaning(directive, number)
                if directive == "j":
                    fields["m"], fields["d"] = np.zeros_like(fields["j"]), fields["j"]
            before = "" if directive else rest
        texts.end()
        times, valid = _milliseconds(fields, len(cells))
        return times, texts.fits & valid


def _tokens(text: str) -> list[tuple[str, str]]:
    """Pairs of a directive and its padding, or of `""` and literal text."""
    tokens: list[tuple[str, str]] = []
    place = 0
    for match in re.finditer(r"%([-_0]?)(.?)", text, re.DOTALL):
        if match.start() > place:
            tokens.append(("", text[place : match.start()]))
        place = match.end()
        padding, directive = match.groups()
        if directive == "%":
            tokens.append(("", "%"))
        elif directive in COMPOSED:
            tokens.extend(_tokens(COMPOSED[directive]))
        elif directive in NAMES or directive in DIGITS or directive == "Z":
            tokens.append((directive, {"": "0", "0": "0", "_": " ", "-": ""}[padding]))
            if directive == "e" and not padding:
                tokens[-1] = ("e", " ")
        else:
            raise TimeFormatError(
                f'The time format "{text}" has the unknown directive "{match[0]}"; '
                "correct timeFormat (it takes d3's directives, such as %Y-%m-%d %H:%M:%S)."
            )
    if place < len(text):
        tokens.append(("", text[place:]))
    return tokens


def _width(directive: str, rest: str) -> int:
    """The most bytes that a directive or literal text reads."""
    if not directive:
        return len(rest.encode())
    if directive in NAMES:
        return max(map(len, NAMES[directive]))
    return _ZONE_WIDTH if directive == "Z" else DIGITS[directive]


def _meaning(directive: str, number: _Numbers) -> _Numbers:
    match directive:
        case "m":
            return number - 1
        case "q":
            return number * 3 - 3
        case "f":
            return number // 1000
        case "y" | "g":
            century: NDArray[np.int64] = np.where(number > 68, 1900, 2000)
            return number + century
    return number


def _milliseconds(fields: dict[str, _Numbers], length: int) -> tuple[_Numbers, NDArray[np.bool_]]:
    """What the fields mean together, and whether they can."""

    def field(name: str, default: int) -> _Numbers:
        return fields[name] if name in fields else np.full(length, default)

    valid: NDArray[np.bool_] = np.ones(length, dtype=np.bool_)
    if "Q" in fields:
        times = fields["Q"]
    elif "s" in fields:
        valid = fields["s"] <= _LIMIT // 1000
        times = np.where(valid, fields["s"], 0) * 1000 + field("L", 0)
    else:
        year, hour = field("Y", 1900), field("H", 0)
        if "p" in fields:
            hour = hour % 12 + fields["p"] * 12
        if "V" in fields:
            week = fields["V"]
            valid = (week >= 1) & (week <= 53)
            january4 = _first_day(year) + 3
            days = january4 - (january4 + 3) % 7 + (week - 1) * 7 + (field("w", 1) + 6) % 7
        elif "W" in fields or "U" in fields:
            weekday = field("w", 1 if "W" in fields else 0)
            if "u" in fields and "w" not in fields:
                weekday = fields["u"] % 7
            january1 = _first_day(year)
            if "W" in fields:
                days = january1 - 1 + (weekday + 6) % 7 + fields["W"] * 7 - (january1 + 9) % 7
            else:
                days = january1 - 1 + weekday + fields["U"] * 7 - (january1 + 10) % 7
        else:
            month = fields["m"] if "m" in fields else field("q", 0)
            days = _first_day(year, month) + field("d", 1) - 1
        minutes = hour * 60 + field("M", 0) - field("Z", 0)
        times = days * DAY + minutes * 60_000 + field("S", 0) * 1000 + field("L", 0)
    return times, valid & (np.abs(times) <= _LIMIT)


def _first_day(year: _Numbers, month: _Numbers | int = 0) -> _Numbers:
    """Days from 1970 to the first day of a month, numbered from 0 and beyond 11 too."""
    months = (year - 1970) * 12 + month
    days: _Numbers = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days
