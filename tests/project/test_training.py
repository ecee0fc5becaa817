import pytest

from tests.support import recorded
from tests.support.need import need
from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.learning.observer import Epoch, Observer, Step
from timeseries_segmenter.project.card import Card
from timeseries_segmenter.project.labelled_task import LabelledTask
from timeseries_segmenter.project.training import train_model
from timeseries_segmenter.report.builder import reported
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.task_series import TaskSeries

SERIES = {"time": list(range(recorded.ROWS)), "value": recorded.values()}
TAGS = """
<TimeSeriesLabels name="{0}" toName="{0}s"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>
<TimeSeries name="{0}s" value="$ts" valueType="json" timeColumn="time"><Channel column="value"/></TimeSeries>
"""
CONFIG = parse_label_config(f"<View>{TAGS.format('a')}{TAGS.format('b')}</View>")
TRUTH = [each | {"from_name": "a", "to_name": "as"} for each in recorded.regions(*recorded.DRAWN)]


class Moments(Observer):
    """All that is observed, in its order."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def on_step(self, step: Step) -> None:
        self.seen.append(step)

    def on_pair(self, name: str) -> None:
        self.seen.append(name)

    def on_epoch(self, epoch: Epoch) -> None:
        self.seen.append(epoch.number)

    def on_cross_validation(self, share: float) -> None:
        self.seen.append(f"{share:.0%}")


def annotated(
    settings: Settings, regions: list[dict[str, object]], config: LabelConfig = CONFIG
) -> dict[str, list[LabelledTask]]:
    """Two tasks with the same regions, for each of two pairs."""
    series = TaskSeries.from_settings(settings)
    annotation = {"id": 1, "result": regions}
    tasks = [{"id": number, "data": {"ts": SERIES}, "annotations": [annotation]} for number in (1, 2)]
    return {
        pair.name: [read for task in tasks if (read := LabelledTask.read(task, pair, series.of_task(task)))]
        for pair in config.pairs
    }


def test_each_moment_of_a_training_is_observed_and_a_pair_without_a_region_costs_the_others_nothing(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"train_epochs": 2, "hidden_size": 4})
    moments = Moments()
    trained = train_model(annotated(settings, TRUTH), CONFIG, settings, observer=moments)
    learned, shares = moments.seen[:4], moments.seen[5:-2]
    assert learned == ["a:as", Step.TRAINING, 1, 2]
    assert moments.seen[4] == Step.CHECKING
    assert len(shares) == 4  # two epochs of each fold network, whose number is not an epoch of the model's
    assert moments.seen[-2:] == ["b:bs", Step.TRAINING]
    assert list(trained.pairs) == ["a:as"]
    assert list(trained.unlearned) == ["b:bs"]
    assert set(trained.folds["a:as"]) == {0, 1}


def test_nothing_to_learn_for_any_pair_is_an_error_with_all_reasons(settings: Settings) -> None:
    with pytest.raises(TrainingError, match=r"no region .*; .*no region "):
        train_model(annotated(settings, []), CONFIG, settings)


def partly(unlabeled: str) -> LabelConfig:
    tags = TAGS.format("a").replace('name="a"', f'name="a" model_unlabeled="{unlabeled}"', 1)
    return parse_label_config(f"<View>{tags}</View>")


def test_annotated_rows_of_one_label_alone_say_what_is_missing(settings: Settings) -> None:
    config = partly("ignore")
    with pytest.raises(
        TrainingError, match='every row that is learned from is "Run": annotate another label'
    ):
        train_model(annotated(settings, TRUTH[:1], config), config, settings)


def test_a_run_after_model_unlabeled_has_changed_is_no_warm_start(settings: Settings) -> None:
    settings = settings.model_copy(update={"train_epochs": 4, "hidden_size": 4})
    config = partly("span")
    first = train_model(annotated(settings, TRUTH, config), config, settings)
    start = reported(first, Card())
    assert start.card.pairs["a:as"].unlabeled == "span"
    again, changed = (
        need(train_model(annotated(settings, TRUTH, each), each, settings, start).pairs["a:as"])
        for each in (config, partly("ignore"))
    )
    assert again.fitted.warm_started
    assert not changed.fitted.warm_started


def test_instants_need_something_between_them(settings: Settings) -> None:
    config = partly("ignore")
    beats = [
        region | {"value": region["value"] | {"end": region["value"]["start"], "instant": True}}
        for region in TRUTH
    ]
    with pytest.raises(
        TrainingError, match="nothing but instants is learned from: annotate what lies between"
    ):
        train_model(annotated(settings, beats, config), config, settings)
    settings = settings.model_copy(update={"train_epochs": 2, "hidden_size": 4})
    with_ranges = [*beats, *(TRUTH[1:2])]
    assert train_model(annotated(settings, with_ranges, config), config, settings).pairs
