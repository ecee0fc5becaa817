"""Many times as text, read column by column: one array operation a character, not one loop a row."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Flags = NDArray[np.bool_]
_Numbers = NDArray[np.int64]


def as_bytes(texts: Sequence[str] | NDArray[np.object_], width: int) -> NDArray[np.bytes_]:
    """Texts as UTF-8, each cut after `width` bytes. `(T,)`."""
    try:
        return np.asarray(texts, dtype=np.object_).astype(f"S{width}")
    except UnicodeEncodeError:
        return np.array([text.encode("utf-8", "replace") for text in texts], dtype=f"S{width}")


class TimeTexts:
    """`(T,)` texts, each with a place up to which it is read, and whether it fits so far.

    While all texts are read up to the same place, `_place` is one number: reading is then
    a matter of slices. The texts need a byte more room than is ever read.
    """

    def __init__(self, texts: NDArray[np.bytes_]) -> None:
        self._bytes = texts.view(np.uint8).reshape(len(texts), -1)
        self._rows = np.arange(len(texts))
        self._place: int | _Numbers = 0
        self.fits: _Flags = np.ones(len(texts), dtype=np.bool_)

    def literal(self, text: str) -> None:
        """Read exactly this text."""
        for code in text.encode():
            self.fits &= self._byte(0) == code
            self._place = self._place + 1

    def number(self, digits: int, *, fraction: bool = False) -> _Numbers:
        """Read one to `digits` digits, with leading blanks among them. `(T,)` int64.

        As a fraction, digits that are missing on the right count as zeros.
        """
        values: _Numbers = np.zeros(len(self._rows), dtype=np.int64)
        columns = [self._byte(offset) for offset in range(digits)]
        if all(bool(_is_digit(column).all()) for column in columns):
            for column in columns:
                values = values * 10 + (column - 48)
            self._place = self._place + digits
            return values
        going = np.ones(len(values), dtype=np.bool_)
        seen = np.zeros(len(values), dtype=np.int64)
        taken = np.zeros(len(values), dtype=np.int64)
        for column in columns:
            digit = going & _is_digit(column)
            blank = going & (seen == 0) & ((column == 32) | ((column >= 9) & (column <= 13)))
            values = np.where(digit, values * 10 + (column & 15), values)
            seen += digit
            going = digit | blank
            taken += going
        self.fits &= seen > 0
        self._advance(taken)
        return values * np.power(10, digits - np.maximum(seen, 1)) if fraction else values

    def name(self, names: Sequence[str]) -> _Numbers:
        """Read one of these ASCII names, in any case. `(T,)` int64, the name's number from 0."""
        values = np.zeros(len(self._rows), dtype=np.int64)
        taken = np.zeros(len(self._rows), dtype=np.int64)
        columns = [self._byte(offset) | 32 for offset in range(max(map(len, names)))]
        for number, name in enumerate(names):
            same = taken == 0
            for column, code in zip(columns, name.lower().encode(), strict=False):
                same &= column == code
            values[same] = number
            taken[same] = len(name)
        self.fits &= taken > 0
        self._advance(taken)
        return values

    def zone(self) -> _Numbers:
        """Read `Z`, `±hh`, `±hhmm` or `±hh:mm`. `(T,)` int64, minutes ahead of UTC."""
        first, *rest = (self._byte(offset) for offset in range(6))
        digit = [_is_digit(column) for column in rest]
        value = [(column & 15).astype(np.int64) for column in rest]
        signed = ((first == ord("+")) | (first == ord("-"))) & digit[0] & digit[1]
        plain = signed & digit[2] & digit[3]
        colon = signed & (rest[2] == ord(":")) & digit[3] & digit[4]
        hours = np.where(signed, value[0] * 10 + value[1], 0)
        minutes = np.where(plain, value[2] * 10 + value[3], np.where(colon, value[3] * 10 + value[4], 0))
        utc = first == ord("Z")
        self.fits &= utc | signed
        self._advance(utc * 1 + signed * 3 + plain * 2 + colon * 3)
        ahead: _Numbers = (hours * 60 + minutes) * np.where(first == ord("-"), -1, 1)
        return ahead

    def end(self) -> None:
        """Nothing may be left."""
        self.fits &= self._byte(0) == 0

    def _byte(self, offset: int) -> NDArray[np.uint8]:
        if isinstance(self._place, int):
            return self._bytes[:, self._place + offset]
        column: NDArray[np.uint8] = self._bytes[self._rows, self._place + offset]
        return column

    def _advance(self, taken: _Numbers) -> None:
        if len(taken) and bool((taken == taken[0]).all()):
            self._place = self._place + int(taken[0])
        else:
            self._place = self._place + taken


def _is_digit(column: NDArray[np.uint8]) -> _Flags:
    return (column - np.uint8(48)) < 10
