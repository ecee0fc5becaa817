"""A source of another kind is a class of its own, and one entry in the list of readers."""

import struct
from collections.abc import Iterable

import numpy as np
import pytest

from timeseries_segmenter.errors import SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.series import READERS, read_series
from timeseries_segmenter.labeling.tables.cells import Floats, Texts
from timeseries_segmenter.labeling.tables.table import CellError, Content, FileForm, Table

CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts"><Label value="Run"/></TimeSeriesLabels>
  <TimeSeries name="ts" value="$file" timeColumn="clock" timeFormat="%H:%M">
    <Channel column="AX"/>
  </TimeSeries>
</View>"""
MARK = b"SAMPLES\0"


class Samples(Table):
    """Minutes since midnight and one channel, as pairs of an unsigned byte and a float behind a mark."""

    names = ("clock", "ax")

    def __init__(self, rows: list[tuple[int, float]]) -> None:
        self._rows = rows

    @classmethod
    def from_content(cls, content: Content, _: FileForm) -> "Samples | None":
        if not isinstance(content, bytes) or not content.startswith(MARK):
            return None
        return cls(list(struct.iter_unpack("<Bf", content.removeprefix(MARK))))

    def read(self, numeric: Iterable[int], text: Iterable[int]) -> dict[int, Floats | Texts]:
        for row, (_, value) in enumerate(self._rows):
            if value < -1e6:
                raise CellError("ax", self.place(row), value)
        columns: dict[int, Floats | Texts] = {}
        for column in numeric:
            columns[column] = np.array([row[column] for row in self._rows], dtype=np.float64)
        for column in text:
            columns[column] = np.array(
                [self.cell(column, row) for row in range(len(self._rows))], dtype=object
            )
        return columns

    def place(self, row: int) -> str:
        return f"sample {row}"

    def cell(self, column: int, row: int) -> object:
        minutes, value = self._rows[row]
        return value if column else f"{minutes // 60:02}:{minutes % 60:02}"


READERS_WITH_SAMPLES = (Samples.from_content, *READERS)


def samples(*rows: tuple[int, float]) -> bytes:
    return MARK + b"".join(struct.pack("<Bf", *row) for row in rows)


@pytest.fixture
def pair() -> LabelPair:
    return parse_label_config(CONFIG).pairs[0]


def test_a_table_of_another_kind_is_one_more_reader(pair: LabelPair) -> None:
    series = read_series(samples((5, 1.0), (6, np.nan), (65, 3.0)), pair, 1, readers=READERS_WITH_SAMPLES)
    assert series.values.T.tolist() == [[1, 2, 3]]
    assert series.start_end(1, 2) == ("00:06", "01:05")
    text = read_series("clock,ax\n00:05,7\n", pair, 1, readers=READERS_WITH_SAMPLES)
    assert text.values.tolist() == [[7]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(5, 1.0), (6, -1e9)], r"Task 1: column \"ax\", sample 1: -1000000000.0 is not a number"),
        ([(9, 1.0), (6, 2.0)], r"Task 1: column \"clock\", sample 1: the time falls from '00:09' to '00:06'"),
        ([], r"Task 1: the series has no rows"),
    ],
)
def test_its_errors_name_the_place_in_its_own_words(
    pair: LabelPair, rows: list[tuple[int, float]], message: str
) -> None:
    with pytest.raises(SeriesError, match=message):
        read_series(samples(*rows), pair, 1, readers=READERS_WITH_SAMPLES)


def test_a_file_that_no_reader_knows_is_called_by_its_name(pair: LabelPair) -> None:
    with pytest.raises(SeriesError, match=r"Task 1: 'x\.bin' is not a series that can be read\."):
        read_series(b"?", pair, 1, name="'x.bin'", readers=(Samples.from_content,))
