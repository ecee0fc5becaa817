import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from tests.support import reports
from tests.support.models import unpack_former
from timeseries_segmenter.labeling.series import Series
from timeseries_segmenter.labeling.time.axis import TimeAxis
from timeseries_segmenter.labeling.time.formats import TimeFormat
from timeseries_segmenter.project.card import ReliabilityBin
from timeseries_segmenter.project.evaluation import Comparison
from timeseries_segmenter.report import plots
from timeseries_segmenter.report.colours import BACKGROUND, DARK, LABELS, colour, text_on
from timeseries_segmenter.report.content import CurvePoint, Sample
from timeseries_segmenter.report.metrics import Classes, measure
from timeseries_segmenter.report.picture import Picture, columns, short
from timeseries_segmenter.report.sample_plot import sample as sample_plot
from timeseries_segmenter.report.samples import Predicted, sample
from timeseries_segmenter.segment import Segment

NAMES = (
    "A $x^2$ costs 5$",
    "</text><script>alert(1)</script>",
    "走る",
    "a very long name of a label " * 3,
    "\x00\x0b\n",
)
SETS = tuple((name,) for name in NAMES)
CLASSES = Classes(("background", *NAMES), SETS, frozenset())


def svg(picture: Picture) -> ElementTree.Element:
    """The picture's content, which is well-formed and loads nothing."""
    assert picture.address.startswith("data:image/svg+xml,")
    assert not set('"<>&#%') & set(re.sub("%[0-9A-F]{2}", "", picture.address))
    text = unquote(picture.address.split(",", 1)[1])
    root = ElementTree.fromstring(text)
    links = [value for each in root.iter() for key, value in each.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)
    assert "<script" not in text
    return root


def texts(picture: Picture) -> list[str]:
    return [each.text or "" for each in svg(picture).iter("{http://www.w3.org/2000/svg}text")]


def shown(length: int, drawn: list[Segment], channels: int = 1, time: TimeAxis | None = None) -> Sample:
    values = np.random.default_rng(0).normal(size=(length, channels)).astype(np.float32)
    names = tuple(f"channel ${number}" for number in range(channels))
    series = Series(values, names, time or TimeAxis(np.arange(length, dtype=float)))
    return sample(
        Predicted(1, series, drawn, drawn[1:], 0.5), "the best", CLASSES, held_out=True, time_name="t$1"
    )


DRAWN = [Segment(100 * place, 100 * place + 79, labels) for place, labels in enumerate(SETS)]


def test_names_stand_in_pictures_as_they_are_written() -> None:
    found = measure([Comparison(DRAWN, DRAWN[1:], 600)], CLASSES)
    for picture in (plots.confusion_matrix(found.confusions[0]), plots.class_bars(found)):
        given = texts(picture)
        assert "A $x^2$ costs 5$" in given
        assert "走る" in given
        assert any(text.startswith("</text><script>") for text in given)
        assert any(text.endswith("…") for text in given)
    given = texts(sample_plot(shown(600, DRAWN), CLASSES.names))
    assert {"走る", "channel $0", "t$1"} <= set(given)


def test_a_picture_is_the_same_each_time_and_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    of_sample = shown(600, DRAWN)
    with ThreadPoolExecutor(4) as threads:
        pictures = list(threads.map(lambda _: sample_plot(of_sample, CLASSES.names), range(8)))
    assert len({picture.address for picture in pictures}) == 1
    assert dict(mpl.rcParams) == before


SERVED = """
import sys
from pathlib import Path
from _wsgi import init_app
from timeseries_segmenter.settings import Settings

client = init_app(settings=Settings(model_dir=Path(sys.argv[1]))).test_client()
for path in ("/health", "/projects", "/projects/47/report"):
    assert client.get(path, headers={"Accept": "text/html"}).status_code == 200, path
    print(path, *(name for name in ("matplotlib", "sklearn") if name in sys.modules))
"""


def test_matplotlib_is_not_imported_before_a_report_is_asked_for(tmp_path: Path) -> None:
    unpack_former(3, tmp_path / "model_project_47.pt")
    served = subprocess.run(
        [sys.executable, "-c", SERVED, tmp_path], check=True, capture_output=True, text=True
    )
    assert served.stdout.splitlines() == [
        "/health",
        "/projects",
        "/projects/47/report matplotlib",
    ]


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_a_sample_has_its_channels_and_each_segment_in_its_labels_colour(channels: int) -> None:
    picture = sample_plot(shown(600, DRAWN, channels), CLASSES.names)
    assert [text for text in texts(picture) if text.startswith("channel")] == [
        f"channel ${number}" for number in range(channels)
    ]
    style = [each.get("style", "") for each in svg(picture).iter()]
    assert all(any(f"fill: {colour(number)}" in each for each in style) for number in range(1, 6))


def test_a_series_of_one_row_one_without_values_and_one_of_a_million_rows_can_be_drawn() -> None:
    one = shown(1, [Segment(0, 0, SETS[0])])
    assert "annotated" in texts(sample_plot(one, CLASSES.names))
    empty = shown(50, [])
    nothing = empty.channels[0].model_copy(update={"levels": [None] * len(empty.channels[0].levels)})
    assert "no values" in texts(sample_plot(empty.model_copy(update={"channels": [nothing]}), CLASSES.names))
    large = sample_plot(
        shown(1_000_000, [Segment(0, 400_000, SETS[0]), Segment(400_001, 999_999, SETS[2])], 12),
        CLASSES.names,
    )
    assert len(large.address) < 250_000


def test_instants_are_drawn_and_those_without_a_counterpart_are_told() -> None:
    beats = [Segment(row, row, ("N",), instant=True) for row in range(0, 500, 50)]
    classes = Classes(("background", "N"), (("N",),), frozenset({1}))
    series = Series(np.zeros((500, 1), np.float32), ("ecg",), TimeAxis(np.arange(500, dtype=float)))
    near = [Segment(each.first + 2, each.first + 2, ("N",), instant=True) for each in beats[:-1]]
    of_sample = sample(
        Predicted(7, series, beats, near, 0.9), "the best", classes, held_out=True, time_name="t"
    )
    assert "10 annotated and 9 predicted" in sample_plot(of_sample, classes.names).alt
    found = measure([Comparison(beats, near, 500)], classes)
    assert {"9", "1"} <= set(texts(plots.confusion_matrix(found.confusions[0])))
    assert "background" not in texts(plots.class_bars(found))


def test_dates_are_written_as_dates() -> None:
    time = TimeAxis(1_704_067_200_000 + np.arange(600, dtype=float) * 60_000, TimeFormat("%Y-%m-%d %H:%M:%S"))
    given = texts(sample_plot(shown(600, DRAWN, time=time), CLASSES.names))
    assert "02:00" in given
    assert not any("1704" in text for text in given)


def test_curves_of_one_epoch_and_of_many_can_be_drawn() -> None:
    one = CurvePoint(epoch=1, loss=0.0, balanced_accuracy=0.5, min_f1=0.0)
    assert "over 1 epoch" in plots.learning_curve([one]).alt
    curve = [one.model_copy(update={"epoch": number, "loss": 1 / number}) for number in range(1, 200)]
    assert "the loss ends at 0.005" in plots.learning_curve(curve).alt


def test_one_class_and_twenty_can_be_drawn() -> None:
    for count in (1, 20):
        sets = tuple((f"Label {number}",) for number in range(count))
        classes = Classes(("background", *(labels[0] for labels in sets)), sets, frozenset())
        drawn = [Segment(10 * place, 10 * place + 8, labels) for place, labels in enumerate(sets)]
        found = measure([Comparison(drawn, drawn, 10 * count)], classes, 0.1)
        given = texts(plots.class_bars(found))
        assert [text for text in given if text.startswith("Label")] == [labels[0] for labels in sets]
        assert plots.confusion_matrix(found.confusions[0]).width >= 460
        filled = found.model_copy(
            update={"reliability": [ReliabilityBin(confidence=0.9, accuracy=1.0, count=1)]}
        )
        assert "0.100" in plots.reliability(filled).alt
        figures_by_name = {each.name: each.f1 or 0.0 for each in found.classes}
        assert "Label 0 from 1.00 to 1.00" in plots.change(figures_by_name, figures_by_name).alt


def test_colours_follow_the_readers_light_or_dark() -> None:
    styles = "".join(
        each.text or ""
        for each in svg(plots.class_bars(reports.part().training)).iter()
        if each.tag.endswith("style")
    )
    assert "prefers-color-scheme:dark" in styles
    assert all(dark in styles for dark in DARK.values())


def test_every_label_stands_out_from_light_and_dark_and_from_its_text() -> None:
    for each in (*LABELS, BACKGROUND):
        assert contrast(each, "#fefefe") > 2.5
        assert contrast(each, DARK["#fefefe"]) > 2.5
        assert contrast(each, text_on(each)) > 4.5
    assert len(set(LABELS)) == 12
    assert [colour(0), colour(1), colour(13)] == [BACKGROUND, LABELS[0], LABELS[0]]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    luminances = sorted(
        0.05
        + sum(
            weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
            for weight, part in zip(
                (0.2126, 0.7152, 0.0722),
                (int(each[place : place + 2], 16) / 255 for place in (1, 3, 5)),
                strict=True,
            )
        )
        for each in (one, other)
    )
    return luminances[1] / luminances[0]


def test_names_are_cut_by_the_room_that_they_take() -> None:
    assert short("走る走る走る", 8) == "走る走…"
    assert columns("走る") == 4
    assert short("a\nb\x00c", 10) == "a b c"
    assert columns("e\u0301") == 1
