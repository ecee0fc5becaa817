"""A start from another project: what came of it, and what the first training run makes of its model."""

from collections.abc import Sequence

from pydantic import Field

from timeseries_segmenter.labeling.config import LabelConfig
from timeseries_segmenter.labeling.regions import predicted_segments
from timeseries_segmenter.learning.validation.cross_validation import MOST_FOLDS
from timeseries_segmenter.project.card import PairCard, Part
from timeseries_segmenter.project.evaluation import evaluate
from timeseries_segmenter.project.model import UNTRAINED, Model
from timeseries_segmenter.project.prediction import pair_segmenters
from timeseries_segmenter.project.training import ModelTraining, PairTraining
from timeseries_segmenter.segment import Segment


class Start(Part):
    """What came of a start from another project: a project without a model of its own has its tasks
    predicted by `version` of another `project`, or `problem` says why not.

    `chosen`: a person chose it on the dashboard; else the labeling config's `model_start` says so.
    """

    project: int = Field(ge=1)
    version: str = UNTRAINED
    problem: str = ""
    chosen: bool = False


def lent(model: Model, config: LabelConfig) -> Model:
    """Another project's model for a warm start with this labeling config.

    None of its networks has seen a task of this project, so that each fold's may begin with it.
    """
    segmenters = {pair.name: each for pair in config.pairs if (each := model.segmenter(pair, config))}
    names = {id(each): name for name, each in model.segmenters.items()}
    pairs = {
        name: model.card.pairs.get(names[id(each)], PairCard()).model_copy(update={"folds": {}})
        for name, each in segmenters.items()
    }
    folds = {name: dict.fromkeys(range(MOST_FOLDS), each) for name, each in segmenters.items()}
    return Model(model.card.model_copy(update={"pairs": pairs}), segmenters, folds)


def falls_behind(training: ModelTraining, lender: Model, config: LabelConfig) -> str:
    """Why the first model here does not take the place of the one that the project started from; empty if it
    does, be it that each pair began with that one.

    Else it has to need no more corrections on tasks that its networks have not seen; the other model has seen
    none of them.
    """
    others = {each.pair.name: each for each in pair_segmenters(lender, config)}
    for name, pair in training.pairs.items():
        if pair.fitted.warm_started or name not in others:
            continue
        if pair.validation is None:
            return "with a single task, it is not known whether what was learned is as good"
        own, other = (
            _corrections(pair, predicted)
            for predicted in (
                [each.segments for each in pair.validation.segmentations],
                [
                    predicted_segments(others[name].predict(task.series).segments, pair.pair)
                    for task in pair.tasks
                ],
            )
        )
        if own > other:
            return f"what was learned needs {own:.2f} corrections per region, and that model {other:.2f}"
    return ""


def _corrections(pair: PairTraining, predicted: Sequence[Sequence[Segment]]) -> float:
    """Corrections per annotated region."""
    compared = [task.compare(segments) for task, segments in zip(pair.tasks, predicted, strict=True)]
    metrics = evaluate(compared, pair.fitted.segmenter.label_sets)
    return float(metrics["corrections"]["per_region"] or 0.0)
