"""Warm start: whether a training run may start from the model before, for how long, at which rate, and
when that is given up.

It saves most of the steps if little has changed since the last training from scratch, and its result
has to keep up with that one.
"""

from timeseries_segmenter.learning.metrics import Scores
from timeseries_segmenter.learning.segmenter import FullTraining, Segmenter
from timeseries_segmenter.learning.training.prepared import Prepared, same_rate
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, WARMUP, PlannedSchedule

MOST_GROWTH = 1.5  # of the number of series since the last training from scratch
STEPS_SHARE = 1 / 6  # of the steps of that training
RATE = LEARNING_RATE / 2
SLACK = 0.08  # of balanced accuracy plus worst F1 that the result may be behind that training's


def suit(prepared: Prepared, start: Segmenter) -> Prepared | None:
    """The examples prepared so that the weights of `start` mean the same for them; None if they can't be."""
    stride = start.network.dimensions.stride
    if stride == prepared.stride // 2:
        prepared = prepared.at_stride(stride)  # suits them nearly as well
    means_the_same = (
        start.label_sets == prepared.label_sets
        and start.channels == prepared.channels
        and start.window == prepared.window
        and start.decoding.instant_classes == prepared.lengths.instant_classes
        and start.network.dimensions == prepared.dimensions
        and start.standardisation.same_inputs(prepared.inputs.standardisation)
        and same_rate(start.sampling, prepared.sampling, prepared.resamplings)
    )
    grown = len(prepared.examples) > MOST_GROWTH * start.full_training.series
    return prepared if means_the_same and not grown else None


def plan(start: Segmenter) -> PlannedSchedule:
    """The schedule of a training run that begins with the weights of `start`."""
    return PlannedSchedule(RATE, max(WARMUP, round(start.full_training.steps * STEPS_SHARE)))


def keeps_up(scores: Scores, start: Segmenter, recipe: Recipe) -> bool:
    """Whether the scores after a warm start are about as good as those of the last training from scratch."""
    full = start.full_training
    if recipe.met_by(full) and not recipe.met_by(scores):
        return False
    return goes_on(scores, full)


def goes_on(scores: Scores, before: Scores | FullTraining) -> bool:
    """The same for a run on a part of the series: whether the scores are about as good as those `before` it,
    of the same series, from which that model may have learned or not.
    """
    return scores.balanced_accuracy + scores.min_f1 >= before.balanced_accuracy + before.min_f1 - SLACK
