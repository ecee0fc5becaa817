from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.need import need
from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.examples import Example, LearnedClass
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.training.remembered import MOST_TIMESTEPS, OfSeries, Remembered, Sample
from timeseries_segmenter.learning.validation.cross_validation import leave_out
from timeseries_segmenter.segment import UNKNOWN

IntArray = NDArray[np.int64]

FEATURES = 4
RECIPE = Recipe(epochs=1, hidden_size=4)
CHANNELS = ("x", "y")
KERNELS = Convolutions.fit_kernels([np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)], 20, 0)


def series(name: str, classes: IntArray, fold: int = 0) -> OfSeries:
    """Whose features say the class of each timestep."""
    random = np.random.default_rng(len(name))
    features = np.repeat(classes[:, None], FEATURES, axis=1).astype(np.float32)
    means = random.normal(size=(2, len(classes))).astype(np.float32)
    return OfSeries(name, fold, features, means, classes)


def nothing() -> Remembered:
    return Remembered.nothing(KERNELS, LABEL_SETS, FEATURES)


def of_each(count: int, classes: int = 3) -> IntArray:
    return np.repeat(np.arange(classes), count)


def test_all_timesteps_are_remembered_while_there_is_room_but_not_what_teaches_nothing() -> None:
    classes = np.append(of_each(10), [UNKNOWN] * 5)
    remembered = nothing().with_series([series("1", classes), series("2", of_each(10))], 0)
    assert np.bincount(remembered.classes).tolist() == [20, 20, 20]
    assert remembered.names == ("1", "2")
    assert remembered.rates.tolist() == [1, 1, 1]
    assert (remembered.features == remembered.classes[:, None]).all()
    shares = remembered.inputs_of_convolutions()[:30, :-FEATURES]
    assert shares == pytest.approx(KERNELS.shares(series("1", classes).means, np.arange(30)), abs=1 / 500)


def test_the_room_is_shared_by_all_series_of_all_runs_and_rare_classes_stay_whole() -> None:
    remembered = nothing()
    for run in range(40):
        classes = np.concatenate([np.zeros(2000), np.ones(300), np.full(20, 2)]).astype(np.int64)
        remembered = remembered.with_series([series(str(run), classes)], run)
    counts = np.bincount(remembered.classes)
    assert counts[:2] == pytest.approx(MOST_TIMESTEPS / 3, rel=0.1)
    assert counts[2] == 40 * 20
    by_series = np.bincount(remembered.series[remembered.classes == 0])
    assert by_series == pytest.approx(MOST_TIMESTEPS / 3 / 40, rel=0.5)
    assert remembered.rates[0] == pytest.approx(MOST_TIMESTEPS / 3 / (40 * 2000), rel=0.05)


def test_a_task_that_is_read_again_is_remembered_as_it_is_now() -> None:
    first = nothing().with_series([series("1", np.zeros(50, np.int64)), series("2", of_each(10))], 0)
    again = first.with_series([series("1", np.ones(30, np.int64))], 1)
    assert sorted(again.names) == ["1", "2"]
    assert np.bincount(again.classes).tolist() == [10, 40, 10]


def test_tasks_that_are_gone_are_forgotten() -> None:
    remembered = nothing().with_series([series("1", of_each(5)), series("2", of_each(10))], 0)
    kept = remembered.of_tasks({"2"})
    assert kept.names == ("2",)
    assert np.bincount(kept.classes).tolist() == [10, 10, 10]
    assert not len(kept.of_tasks({"1"}).classes)


def test_what_a_fold_holds_out_is_not_learned_from() -> None:
    of_folds = [series("1", of_each(5), fold=0), series("2", of_each(10), fold=1)]
    remembered = nothing().with_series(of_folds, 0)
    assert remembered.outside(1).names == ("1",)
    assert remembered.outside(0).names == ("2",)


def test_classes_keep_their_labels_when_others_come_or_go() -> None:
    remembered = nothing().with_series([series("1", of_each(5))], 0)
    other = remembered.relabelled((("Jump",), ("Walk",)))
    assert np.bincount(other.classes).tolist() == [5, 0, 5]
    assert other.features[other.classes == 2].min() == 2  # what was learned as "Walk"
    assert other.known == [("Walk",)]


def test_a_label_that_only_other_tasks_have_is_still_a_class() -> None:
    remembered = nothing().with_series([series("1", np.full(5, 2))], 0)
    here = [LearnedClass(("Jump",), instant=False)]
    label_sets = (("Run",), ("Walk",), ("Jump",))
    sample = Sample(["2"], [0], remembered=remembered)
    assert sample.with_remembered(here, label_sets) == (
        LearnedClass(("Walk",), instant=False),
        LearnedClass(("Jump",), instant=False),
    )


@pytest.fixture(scope="module")
def first() -> Fitted:
    """Of a run that learned from two of three tasks."""
    examples = [synthetic(0), synthetic(1)]
    return fit(examples, LABEL_SETS, CHANNELS, RECIPE, sample=Sample(["1", "2"], [0, 1]))


def fit_on_another(before: Fitted) -> Fitted:
    """After it, on a task on which nobody walks."""
    third = synthetic(2)
    third = replace(third, classes=np.where(third.classes == 2, UNKNOWN, third.classes))
    sample = Sample(["3"], [0], before.segmenter, before.prepared.remembered)
    return fit([third], LABEL_SETS, CHANNELS, RECIPE, start=before.segmenter, sample=sample)


def test_forest_and_convolutions_know_what_only_tasks_of_former_runs_show(first: Fitted) -> None:
    second = fit_on_another(first)
    remembered = need(second.prepared.remembered)
    assert remembered.names == ("1", "2", "3")
    assert second.segmenter.label_sets == LABEL_SETS
    assert (second.segmenter.standardisation.mean == first.segmenter.standardisation.mean).all()
    unseen: Example = synthetic(9)
    opinions = second.segmenter.opinions(unseen.values)
    for opinion in (opinions.forest, opinions.convolutions):
        assert (need(opinion).argmax(axis=1) == unseen.classes).mean() > 0.85


def test_a_class_that_a_run_did_not_see_costs_as_much_as_others(first: Fitted) -> None:
    prices = fit_on_another(first).segmenter.decoding.prices
    assert prices[2] == np.median(prices)


def test_fold_networks_have_the_inputs_of_the_model_and_know_nothing_of_their_fold(first: Fitted) -> None:
    prepared = fit_on_another(first).prepared
    for fold, rest in leave_out(fit_on_both(first).prepared, [0, 1]):
        remembered = need(rest.remembered)
        assert fold not in remembered.folds
        assert rest.inputs.standardisation == prepared.inputs.standardisation
        assert len(rest.inputs.features) == 1


def fit_on_both(before: Fitted) -> Fitted:
    sample = Sample(["3", "4"], [0, 1], before.segmenter, before.prepared.remembered)
    return fit(
        [synthetic(2), synthetic(3)], LABEL_SETS, CHANNELS, RECIPE, start=before.segmenter, sample=sample
    )


def test_other_channels_or_windows_are_not_remembered_by_their_features(first: Fitted) -> None:
    sample = Sample(["3"], [0], first.segmenter, first.prepared.remembered)
    for channels, recipe in ((("x", "z"), RECIPE), (CHANNELS, replace(RECIPE, sequence_size=20))):
        fitted = fit([synthetic(2)], LABEL_SETS, channels, recipe, sample=sample)
        assert need(fitted.prepared.remembered).names == ("3",)


def test_nothing_is_remembered_of_instants_and_of_all_series_there_are() -> None:
    sample = Sample(["1"], [0])
    assert fit([events(0)], (("Beat",),), ("ecg",), RECIPE, sample=sample).prepared.remembered is None
    assert fit([synthetic(0)], LABEL_SETS, CHANNELS, RECIPE).prepared.remembered is None
