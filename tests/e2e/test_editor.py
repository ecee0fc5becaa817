"""The service beside Label Studio's own editor: series and configs made by chance, opened in both.

`--editor-seed` makes other examples, `--editor-examples` more or fewer of them. An example that
failed is made again by its name: `-k seed-11-example-42`. `known_differences.py` lists what may differ.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.e2e.chromium import SIZE, chromium
from tests.support.e2e.editor import Drawn, Editor, Held
from tests.support.e2e.generated_series import Example, make_example
from tests.support.e2e.known_differences import READ_ALL_THE_SAME, REFUSED_ALL_THE_SAME, is_known
from timeseries_segmenter.errors import LabelConfigError, SeriesError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.regions import to_regions
from timeseries_segmenter.labeling.series import Series, read_series
from timeseries_segmenter.labeling.targets import annotation_segments
from timeseries_segmenter.segment import Segment
from tools.studio.label_studio import LabelStudio

pytestmark = pytest.mark.e2e

SEED = 11
EXAMPLES = 300
FLOAT32 = 1e-6  # channels are read as float32
READ_BY_BOTH = 0.4  # of the examples, at least: else little is compared

Region = dict[str, object]
Read = tuple[LabelPair, Series]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "example" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--editor-seed", default=None) or SEED
        count = metafunc.config.getoption("--editor-examples", default=None) or EXAMPLES
        examples = [make_example(seed, number) for number in range(count)]
        metafunc.parametrize("example", examples, ids=[example.name for example in examples])


@pytest.fixture(scope="module")
def editor(studio: LabelStudio) -> Iterator[Editor]:
    with chromium() as browser:
        context = browser.new_context(viewport=SIZE, service_workers="block")
        editor = Editor(context.new_page(), studio)
        yield editor
        editor.close()


@pytest.fixture(scope="module")
def outcomes() -> Counter[str]:
    """How many examples are read by whom."""
    return Counter()


def test_what_the_editor_shows_is_read_and_what_is_drawn_is_shown(
    example: Example, editor: Editor, outcomes: Counter[str]
) -> None:
    held, read = editor.open(example, rows=example.regions), read_example(example)
    if isinstance(read, str):
        outcomes["refused by both" if held.refused else "refused by the service"] += 1
        found = list(differences_of_refusal(held, read, example))
    elif held.refused:
        outcomes["refused by the editor"] += 1
        known = is_known(READ_ALL_THE_SAME, held.refused, example.kinds)
        found = [] if known else [f"The editor refuses it: {held.refused}"]
    else:
        outcomes["read by both"] += 1
        regions = predicted(example, *read)
        opened = editor.open(example, predicted=[region for _, region in regions])
        found = list(differences_of_series(example, held, read[1])) or [
            *differences_of_drawn(example, held.drawn, *read),
            *differences_of_predicted(regions, opened, held),
        ]
    assert not found, "\n".join([*found, str(example)])


def test_enough_examples_are_read_by_both(outcomes: Counter[str], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("keyword"):
        pytest.skip("examples were chosen by name")
    assert outcomes["read by both"] > READ_BY_BOTH * outcomes.total(), dict(outcomes)


def test_known_differences_are_documented() -> None:
    page = Path("docs/reference/labeling-config.md").read_text()
    for difference in (*READ_ALL_THE_SAME, *REFUSED_ALL_THE_SAME):
        assert f"- {difference.reason}\n" in page


def read_example(example: Example) -> Read | str:
    """What the service reads, or why it doesn't."""
    try:
        (pair,) = parse_label_config(example.config).pairs
        value: Any = pair.find_value(example.data)
        in_task = pair.value_type == "json" or not isinstance(value, str)
        return pair, read_series(value if in_task else example.content, pair, 1)
    except (LabelConfigError, SeriesError) as error:
        return str(error)


def predicted(example: Example, pair: LabelPair, series: Series) -> list[tuple[tuple[int, int], Region]]:
    """The example's rows, each with the region that is predicted over them."""
    rows = [each for each in example.regions if each[1] < len(series)]
    segments = [Segment(first, last, ("Run",), instant=first == last) for first, last in rows]
    return list(zip(rows, to_regions(segments, pair, series), strict=True))


def differences_of_refusal(held: Held, read: str, example: Example) -> Iterator[str]:
    if not read.endswith("."):
        yield f"It is refused without a sentence: {read}"
    if not held.refused and not is_known(REFUSED_ALL_THE_SAME, read, example.kinds):
        yield f"The editor shows it: {read}"


def differences_of_series(example: Example, held: Held, series: Series) -> Iterator[str]:
    """Rows, times and values that the editor holds otherwise than the service.

    Where a line lacks cells, the editor moves those below up: only columns that are whole are compared.
    """
    stamps, rows = series.time.stamps, len(series)
    columns = [held.times or [], *(held.channels[name] or [] for name in example.channels)]
    lengths = {len(column) for column in columns}
    if rows != max(lengths) and not (rows == max(lengths) - 1 and is_cut_off(columns)):
        yield f"The editor has {max(lengths)} rows, the service {rows}."
        return
    without = int(rows == max(lengths) == example.rows - 1)  # the first row looks like a header
    times, *cells = ([number(cell) for cell in column[:rows]] for column in columns)
    if len(columns[0]) == max(lengths):
        wrong = [row for row in range(rows) if times[row] != stamps[row]]
        for row in wrong[:1]:
            yield f"Row {row}: the editor's time is {columns[0][row]!r}, the service's {stamps[row]}."
    for name, column, values, whole in zip(
        example.channels, cells, series.values.T, columns[1:], strict=True
    ):
        if len(whole) == max(lengths):
            plain = {row for row in range(rows) if row + without not in example.missing[name]}
            wrong = [row for row in sorted(plain) if not np.isclose(column[row], values[row], rtol=FLOAT32)]
            for row in wrong[:1]:
                yield f"Channel {name}, row {row}: the editor has {whole[row]!r}, the service {values[row]}."


def is_cut_off(columns: Sequence[Sequence[object]]) -> bool:
    """Whether the last row in the editor is not a row: cells are missing, or there is no number in it."""
    lengths = [len(column) for column in columns]
    numbers = [number(column[-1]) for column in columns[1:] if len(column) == max(lengths)]
    return min(lengths) == max(lengths) - 1 or bool(np.isnan(numbers).all())


def differences_of_predicted(
    regions: Sequence[tuple[tuple[int, int], Region]], opened: Held, held: Held
) -> Iterator[str]:
    """Predicted regions that the editor doesn't hold over the rows that they were made for."""
    values = [region["value"] for _, region in regions]
    if opened.refused:
        yield f"Predicted regions {values} keep the task from opening: {opened.refused}"
        return
    if opened.plots != held.plots:
        yield f"With predicted regions the editor plots {opened.plots} channels instead of {held.plots}."
    for (first, last), region in regions:
        start, end = (number((held.times or [])[row]) for row in (first, last))
        wanted = (start, end, start == end)
        there = opened.regions.get(str(region["id"]))
        if there != wanted:
            yield f"Rows {first} to {last}: the editor makes {there} of {region['value']}, not {wanted}."


def differences_of_drawn(
    example: Example, drawn: Sequence[Drawn], pair: LabelPair, series: Series
) -> Iterator[str]:
    """Regions drawn in the editor that the service reads over other rows.

    Where the editor itself would read other times of what it writes, the service may refuse all of them.
    """
    stamps = series.time.stamps
    there = [rows for rows in example.regions if rows[1] < len(series)]
    drawn = [each for each in drawn if each.rows in there]
    if [each.rows for each in drawn] != there:
        yield f"The editor writes {len(drawn)} regions of {len(there)}."
        return
    times = [tuple(stamps[row] for row in each.rows) for each in drawn]
    told_apart = all(tuple(map(number, each.again)) == time for each, time in zip(drawn, times, strict=True))
    for each, (first, last) in zip(drawn, times, strict=True):
        wanted = (
            int(np.searchsorted(stamps, first, side="left")),
            int(np.searchsorted(stamps, last, side="right")) - 1,
        )
        try:
            segments = annotation_segments({"result": [each.result]}, pair, series)
        except SeriesError as error:
            if told_apart:
                yield f"Rows {wanted}: {each.result['value']}, as the editor writes them, is refused: {error}"
        else:
            rows = [(segment.first, segment.last) for segment in segments]
            one_of_them = first == last and all(wanted[0] <= a == b <= wanted[1] for a, b in rows)
            if rows != [wanted] and not (len(rows) == 1 and one_of_them):  # an instant among equal stamps
                yield f"Rows {wanted}: {each.result['value']}, as the editor writes them, is read as {rows}."


def number(value: object) -> float:
    """A number, also where it is written as text; NaN where there is none."""
    try:
        return float(value) if isinstance(value, int | float | str) else np.nan
    except ValueError:
        return np.nan
