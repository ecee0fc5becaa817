"""A model in its folder predicts what it predicts in the service, without what the service needs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.models import of_one_pair
from tests.support.synthetic import LABEL_SETS, events, mixed, synthetic
from timeseries_segmenter.cli import main
from timeseries_segmenter.errors import ModelFileError
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.learning.decoding.calibration import Calibration
from timeseries_segmenter.learning.decoding.landmark import Landmark
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.opinions.pool import Pool
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.fit import Fitted, fit
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.portable.names import ARRAYS, MODEL, PROGRAM
from timeseries_segmenter.project.prediction import PairSegmenter
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_file import save_model
from timeseries_segmenter.storage.model_store import ModelStore

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(
        package, reason=f"{package} is not installed: pip install 'timeseries-segmenter[onnx]'"
    )

from timeseries_segmenter.portable.model import load_model  # noqa: E402  they import these packages
from timeseries_segmenter.portable.writer import write_portable_model  # noqa: E402

CLOSE = 1e-4  # of probabilities
CONFIG = """<View>
  <TimeSeriesLabels name="label" toName="ts">
    <Label value="Run"/><Label value="Walk"/><Label value="Beat"/>
  </TimeSeriesLabels>
  <TimeSeries name="ts" value="$csv" timeColumn="time" timeFormat="%Y-%m-%d %H:%M:%S.%L">
    {channels}
  </TimeSeries>
</View>"""
RECIPE = Recipe(epochs=30, hidden_size=8)


def config_of(segmenter: Segmenter) -> str:
    return CONFIG.format(channels="".join(f'<Channel column="{name}"/>' for name in segmenter.channels))


def pair_of(segmenter: Segmenter) -> LabelPair:
    return parse_label_config(config_of(segmenter)).pairs[0]


def ranges_and_instants() -> Segmenter:
    return fit([mixed(seed) for seed in range(4)], (("Run",),), ("x", "y"), RECIPE).segmenter


def of_other_levels() -> Segmenter:
    examples = [synthetic(seed, level=20.0 * seed) for seed in range(4)]
    segmenter = fit(examples, LABEL_SETS, ("x", "y"), RECIPE).segmenter
    assert segmenter.standardisation.per_series
    return segmenter


def at_a_common_rate() -> Segmenter:
    times = [np.arange(300, dtype=np.float64) * (1 + 3 * (seed % 2)) for seed in range(4)]
    examples = [replace(synthetic(seed), times=each) for seed, each in enumerate(times)]
    segmenter = fit(examples, LABEL_SETS, ("x", "y"), RECIPE).segmenter
    assert segmenter.sampling.interval
    return segmenter


@pytest.fixture(scope="module")
def segmenters(fitted: Fitted, fitted_events: Fitted) -> dict[str, Callable[[], Segmenter]]:
    ranges, instants = fitted.segmenter, fitted_events.segmenter
    assert ranges.forest is not None
    landmark = Landmark(0, "largest deviation", 4, 20, 1)
    return {
        "ranges": lambda: ranges,
        "without a forest": lambda: replace(ranges, forest=None),
        "without convolutions": lambda: replace(ranges, convolutions=None),
        "calibrated and weighed": lambda: replace(
            ranges, calibration=Calibration(1.7, (0.3, -0.2, 0.1)), pool=Pool(0.3, 0.6, 0.4)
        ),
        "adapting": lambda: replace(ranges, adapts=True),
        "instants": lambda: instants,
        "instants at a landmark": lambda: replace(
            instants, decoding=replace(instants.decoding, landmark=landmark, smoothing=1.5)
        ),
        "ranges and instants": ranges_and_instants,
        "of other levels": of_other_levels,
        "at a common rate": at_a_common_rate,
    }


KINDS = [
    "ranges",
    "without a forest",
    "without convolutions",
    "calibrated and weighed",
    "adapting",
    "instants",
    "instants at a landmark",
    "ranges and instants",
    "of other levels",
    "at a common rate",
]


def series(kind: str, rows: int) -> NDArray[np.float32]:
    """Like those that were learned, but longer than a batch of windows if there are many rows."""
    made: Callable[[int], Example] = {"instants": events, "ranges and instants": mixed}.get(
        kind.partition(" at ")[0], synthetic
    )
    values = np.concatenate([made(seed).values for seed in range(10, 11 + rows // 300)])[:rows].copy()
    if rows > 30:
        values[20:25, 0] = np.nan
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_and_segments_are_those_of_the_service(
    kind: str, segmenters: dict[str, Callable[[], Segmenter]], tmp_path: Path
) -> None:
    segmenter = segmenters[kind]()
    pair = pair_of(segmenter)
    write_portable_model(tmp_path / "m", "v7", [PairSegmenter(pair, segmenter, [0])])
    portable = load_model(tmp_path / "m").pairs[pair.name]
    for rows in (1, 17, 301, 9_000):
        values = series(kind, rows)
        for times in (None, 4 * np.arange(rows, dtype=np.float64)):
            expected = segmenter.probabilities(values, times)
            assert np.abs(portable.probabilities(values, times) - expected).max() < CLOSE
            found, true = portable.segments(values, times), segmenter.segments(values, times)
            assert [replace(each, score=1.0) for each in found] == [replace(each, score=1.0) for each in true]
            assert [each.score for each in found] == pytest.approx([each.score for each in true], abs=CLOSE)


def test_labels_are_written_and_left_out_as_the_labeling_config_says(fitted: Fitted, tmp_path: Path) -> None:
    segmenter = fitted.segmenter
    labels = '<Label value="Rush" predicted_values="Run"/>'
    config = config_of(segmenter).replace('<Label value="Run"/><Label value="Walk"/>', labels)
    pair = parse_label_config(
        config.replace('toName="ts">', 'toName="ts" model_score_threshold="0.2">')
    ).pairs[0]
    write_portable_model(tmp_path / "m", "v7", [PairSegmenter(pair, segmenter, [0, 1])])
    portable = load_model(tmp_path / "m").pairs[pair.name]
    values = series("ranges", 900)
    assert {each.labels for each in segmenter.segments(values)} == {("Run",), ("Walk",)}
    assert {each.labels for each in portable.segments(values)} == {("Rush",)}
    assert portable.threshold == 0.2


# As people use it


WITHOUT = """
import sys
for name in ("torch", "pandas", "sklearn", "pydantic", "defusedxml", "httpx", "label_studio_sdk"):
    sys.modules[name] = None
"""


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The program in a folder, by a Python that has nothing but NumPy and ONNX Runtime."""
    site = folder.parent / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(WITHOUT)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(folder / PROGRAM), *arguments],
        cwd=folder.parent,
        env=environment | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def write_csv(path: Path, values: NDArray[np.float32]) -> None:
    lines = [
        f"2026-03-01 10:{row // 600:02}:{row // 10 % 60:02}.{row % 10}00,"
        + ",".join("" if np.isnan(cell) else f"{cell:.5f}" for cell in cells)
        for row, cells in enumerate(values)
    ]
    path.write_text("time,x,y\n" + "\n".join(lines) + "\n")


def test_the_exported_program_prints_what_predict_writes_without_what_the_service_needs(
    fitted: Fitted, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_DIR", str(settings.model_dir))
    config = config_of(fitted.segmenter)
    store = ModelStore(settings)
    version = store.save(47, of_one_pair(fitted.segmenter, label_config=config))
    assert main(["export", "--project", "47", "--format", "onnx", "--output", "taken"]) == 0
    assert json.loads(Path("taken", MODEL).read_text())["version"] == version
    write_csv(Path("a.csv"), series("ranges", 900))
    Path("b.csv").write_text("time,x\n1,2\n")
    predict = ["predict", "a.csv", "--model", str(store.path(47)), "--output", "r.csv"]
    assert main(predict) == 0
    ended = run(tmp_path / "taken", "a.csv", "b.csv")
    assert ended.returncode == 1
    assert 'no prediction: b.csv: there is no column "y"; the columns are: time, x' in ended.stderr
    assert ended.stdout == Path("r.csv").read_text()
    assert ended.stdout.count("Walk") > 0


def test_a_model_of_several_series_wants_the_name_of_one(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = config_of(fitted.segmenter)
    series_tag = config[config.index("  <TimeSeries name") :]
    config = config.replace('toName="ts"', 'toName="ts,other"').replace(
        "</View>", series_tag.replace('name="ts"', 'name="other"')
    )
    model = of_one_pair(fitted.segmenter, label_config=config)
    save_model(Path("m.pt"), replace(model, segmenters={**model.segmenters, "label:other": fitted.segmenter}))
    assert main(["export", "--model", "m.pt", "--output", "taken"]) == 0
    assert "taken: m (label:ts, label:other)" in capsys.readouterr().out
    write_csv(Path("a.csv"), series("ranges", 300))
    assert "the model knows the series ts, other; name one" in run(tmp_path / "taken", "a.csv").stderr
    ended = run(tmp_path / "taken", "a.csv", "--series", "other")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_can_not_be_exported_or_read_is_one_sentence(
    run_walk: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.pt"), of_one_pair(run_walk))
    assert main(["export", "--model", "m.pt", "--output", "taken"]) == 1
    assert "the model holds no labeling config; name its file with --config" in capsys.readouterr().err
    Path("config.xml").write_text(config_of(run_walk))
    export = ["export", "--model", "m.pt", "--config", "config.xml", "--output", "taken"]
    assert main(export) == 0
    assert main(export) == 1
    assert "taken is not empty; name a new folder" in capsys.readouterr().err
    for name, content in {ARRAYS: b"PK", MODEL: b'{"format": 99}'}.items():
        Path("taken", name).write_bytes(content)
        with pytest.raises(ModelFileError, match="taken"):
            load_model("taken")
    ended = run(tmp_path / "taken", "a.csv")
    assert ended.returncode == 1
    assert "has format 99, not 1: export the model again" in ended.stderr
