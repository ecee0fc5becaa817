from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.foreign_models import (
    add_dimension,
    raise_format,
    rename_architecture,
    save_reference,
    widen_weights,
)
from tests.support.need import need
from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.errors import DamagedModelError, ForeignModelError, ModelFileError
from timeseries_segmenter.learning.decoding.calibration import Calibration
from timeseries_segmenter.learning.inputs.resampling import Sampling
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.segmenter_state import segmenter_from_state, state_of
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.training.remembered import Remembered, Sample
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.storage.model_file import (
    copy_model,
    load_folds,
    load_model,
    load_remembered,
    read_card,
    read_report,
    save_model,
    stated_version,
)


@pytest.mark.parametrize("name", ["fitted", "fitted_events"])
def test_a_saved_model_predicts_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    segmenter: Segmenter = request.getfixturevalue(name).segmenter
    biases = (0.1,) * (1 + len(segmenter.label_sets))
    segmenter = replace(segmenter, calibration=Calibration(1.5, biases), sampling=Sampling(0.02))
    path = tmp_path / "model.pt"
    card = Card(version="p1-v1", tasks=[1, 2], left_out=[(3, "label:ts")], created_at=datetime.now(UTC))
    save_model(path, Model(card, {"label:ts": segmenter}))
    model = load_model(path)
    assert list(model.segmenters) == ["label:ts"]
    loaded = model.segmenters["label:ts"]
    values = synthetic(9).values[:, : len(segmenter.channels)]
    assert (loaded.probabilities(values) == segmenter.probabilities(values)).all()
    assert loaded.predict(values) == segmenter.predict(values)
    assert replace(loaded.decoding) == segmenter.decoding
    assert (loaded.label_sets, loaded.channels, loaded.window, loaded.sampling) == (
        segmenter.label_sets,
        segmenter.channels,
        segmenter.window,
        segmenter.sampling,
    )
    assert model.card == read_card(path) == card


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_model_is_an_error_with_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model_project_4.pt"
    path.write_bytes(content)
    for read in (load_model, read_card):
        with pytest.raises(ModelFileError, match=r"model_project_4\.pt"):
            read(path)


def test_a_half_written_model_is_an_error(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_model(path, Model(Card(), {"label:ts": fitted.segmenter}))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelFileError):
        load_model(path)


@pytest.mark.parametrize("content", [[1, 2], {"format": 99}, {"format": 1, "metadata": {}}])
def test_a_torch_file_of_another_kind_is_an_error(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelFileError, match=r"other\.pt"):
        load_model(path)


def test_code_in_a_model_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "trap.pt"
    torch.save({"format": 1, "metadata": Trap()}, path)
    with pytest.raises(ModelFileError):
        read_card(path)
    assert not (tmp_path / "sprung").exists()


def test_each_pair_has_its_segmenter_and_its_folds(
    fitted: Fitted, fitted_events: Fitted, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    folds = {"label:ts": {0: fitted.segmenter, 2: fitted_events.segmenter}}
    segmenters = {"label:ts": fitted.segmenter, "beat:ecg": fitted_events.segmenter}
    save_model(path, Model(Card(), segmenters, folds))
    loaded = load_model(path).segmenters
    values = synthetic(9).values
    assert list(loaded) == ["label:ts", "beat:ecg"]
    assert loaded["label:ts"].segments(values) == fitted.segmenter.segments(values)
    assert loaded["beat:ecg"].segments(values[:, :1]) == fitted_events.segmenter.segments(values[:, :1])
    again = load_folds(path)
    assert {name: list(each) for name, each in again.items()} == {"label:ts": [0, 2], "beat:ecg": []}
    assert (again["label:ts"][0].probabilities(values) == fitted.segmenter.probabilities(values)).all()


def test_what_is_remembered_of_tasks_is_kept_for_the_next_run(fitted: Fitted, tmp_path: Path) -> None:
    path, without = tmp_path / "model.pt", tmp_path / "without.pt"
    sample = Sample(["7"], [2])
    recipe = Recipe(epochs=1, hidden_size=4)
    remembered = need(fit([synthetic(0)], LABEL_SETS, ("x", "y"), recipe, sample=sample).prepared.remembered)
    segmenters = {"label:ts": fitted.segmenter, "beat:ecg": fitted.segmenter}
    save_model(path, Model(Card(), segmenters, remembered={"label:ts": remembered}))
    save_model(without, Model(Card(), segmenters))
    ((name, again),) = load_remembered(path).items()
    assert name == "label:ts"
    for field in fields(Remembered):
        kept, loaded = getattr(remembered, field.name), getattr(again, field.name)
        if isinstance(kept, np.ndarray):
            assert kept.dtype == loaded.dtype
            assert np.array_equal(kept, loaded)
        elif field.name != "kernels":
            assert kept == loaded
    means = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
    places = np.arange(40)
    assert (again.kernels.shares(means, places) == remembered.kernels.shares(means, places)).all()
    assert load_remembered(without) == {}


def test_a_report_is_kept_as_it_was_written(fitted: Fitted, tmp_path: Path) -> None:
    with_report, without = tmp_path / "with.pt", tmp_path / "without.pt"
    report = '{"title": "Grüße, \u4e16\u754c"}'
    save_model(with_report, Model(Card(), {"a:b": fitted.segmenter}, report=report))
    save_model(without, Model(Card(), {"a:b": fitted.segmenter}))
    assert read_report(with_report) == report
    assert read_report(without) is None


def test_a_copy_differs_in_its_card_alone(fitted: Fitted, tmp_path: Path) -> None:
    source, target = tmp_path / "source.pt", tmp_path / "target.pt"
    one, two = Card(version="v1"), Card(version="v2")
    save_model(source, Model(one, {"a:b": fitted.segmenter}, {"a:b": {1: fitted.segmenter}}, "{}"))
    copy_model(source, target, two)
    assert (read_card(source), read_card(target)) == (one, two)
    assert read_report(target) == "{}"
    values = synthetic(9).values
    for segmenter in (load_model(target).segmenters["a:b"], load_folds(target)["a:b"][1]):
        assert segmenter.segments(values) == fitted.segmenter.segments(values)


def test_a_segmenter_of_an_older_release_has_no_rate_and_leaves_series_as_they_are(fitted: Fitted) -> None:
    state = state_of(fitted.segmenter)
    del state["sampling"]
    loaded, values = segmenter_from_state(state), synthetic(9).values
    times = np.linspace(0.0, 500.0, len(values), dtype=np.float64)
    assert loaded.predict(values, times) == fitted.segmenter.predict(values)


@pytest.mark.parametrize("missing", ["weights", "decoding", "labels"])
def test_a_part_of_a_model_is_not_for_this_release(missing: str, fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    former = state_of(fitted.segmenter) | {"labels": ["Run", "Walk"]}
    del former[missing]
    torch.save({"format": 2, "metadata": {}} | former, path)
    for read in (load_model, read_card):
        with pytest.raises(ForeignModelError, match=r"model\.pt holds no model for this release"):
            read(path)


@pytest.mark.parametrize("read", [load_model, read_card])
def test_a_newer_format_is_named_with_what_to_do(
    read: Callable[[Path], object], fitted: Fitted, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    save_model(path, Model(Card(version="p1-v7"), {"a:b": fitted.segmenter}))
    raise_format(path)
    with pytest.raises(ForeignModelError) as caught:
        read(path)
    assert str(caught.value) == (
        "model.pt has format 6, of a newer release; this one reads 2, 3, 4 and 5: install the newer release "
        "again, or choose Start Training in Label Studio for a model that this release can read"
    )
    assert stated_version(path) == "p1-v7"


@pytest.mark.parametrize("read", [load_model, read_card])
@pytest.mark.parametrize("change", [add_dimension, widen_weights, rename_architecture])
def test_weights_of_another_network_are_found_without_loading_them(
    read: Callable[[Path], object], change: Callable[[Path], None], fitted: Fitted, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    save_model(path, Model(Card(version="p1-v7"), {"a:b": fitted.segmenter}))
    change(path)
    with pytest.raises(ForeignModelError, match="for this release"):
        read(path)


@pytest.mark.parametrize("read", [load_model, read_card])
def test_a_file_of_the_reference_example_is_recognised(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "model_project_3.pt"
    save_reference(path)
    with pytest.raises(ForeignModelError) as caught:
        read(path)
    given = str(caught.value)
    assert given.startswith(
        "model_project_3.pt is a model of the time series example of label-studio-ml-backend"
    )
    assert "labels Run, Walk" in given
    assert "choose Start Training" in given


@pytest.mark.parametrize("read", [load_model, read_card])
def test_a_flipped_byte_of_any_place_is_damage_or_harmless(
    read: Callable[[Path], object], fitted: Fitted, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    save_model(path, Model(Card(version="p1-v7"), {"a:b": fitted.segmenter}))
    content = path.read_bytes()
    places = [*range(0, len(content), len(content) // 150), *range(len(content) - 150, len(content))]
    damaged = 0
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read(path)
        except DamagedModelError:
            damaged += 1
    assert damaged > (150 if read is load_model else 20)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_damaged(share: float, fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_model(path, Model(Card(version="p1-v7"), {"a:b": fitted.segmenter}))
    content = path.read_bytes()
    for cut in (
        content[: int(len(content) * share)],
        content[: int(len(content) * share)].ljust(len(content), b"\0"),
    ):
        path.write_bytes(cut)
        for read in (load_model, read_card):
            with pytest.raises(DamagedModelError, match=r"model\.pt"):
                read(path)


def test_a_bare_pickle_is_not_damaged_and_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ForeignModelError, match="bare pickle"):
        read_card(path)


def test_a_folder_and_a_missing_file_are_not_damaged(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.pt"):
        with pytest.raises(ModelFileError, match="can't be read now") as caught:
            read_card(path)
        assert type(caught.value) is ModelFileError
