"""Do scores mean what they say, and what does it cost: `python -m benchmarks.calibration DATA`.

DATA holds one folder a data set, as for `benchmarks.quality`. Models are trained on all of the split's
training tasks, and calibrated on out-of-fold predictions of these. Prints tables in Markdown, means
over three seeds: expected calibration errors on the test tasks, of rows and of regions (one is right
if an annotated region with its label overlaps it by half, or an instant is within 5 rows), before and
after; the metrics out of fold next to those on the test tasks; and CPU seconds of a fit and of its
check, from scratch and with one task added to an earlier model.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.data_set import DataSet, argument_parser
from timeseries_segmenter.learning.decoding.calibration import (
    Calibration,
    calibration_error,
    expected_calibration_error,
    reliability_of,
)
from timeseries_segmenter.learning.examples import learned_classes, with_learned_classes
from timeseries_segmenter.learning.segment_metrics import instant_matches, overlap_matches
from timeseries_segmenter.learning.training.fit import Fitted, Recipe, fit
from timeseries_segmenter.learning.validation.cross_validation import (
    CrossValidation,
    assign_folds,
    cross_validate,
)
from timeseries_segmenter.project.evaluation import TOLERANCE, evaluate
from timeseries_segmenter.segment import Segment

REGION_BINS = 10
QUALITY = (
    "rows before",
    "rows after",
    "rows out of fold",
    "regions before",
    "regions after",
    "temperature",
    "macro F1 out of fold",
    "macro F1 test",
    "F1 out of fold",
    "F1 test",
)
COST = ("fit", "check", "ratio", "fit, one added", "check, one added", "ratio, one added")

Result = TypeVar("Result")


def main() -> None:
    """Print one table of errors and one of costs, a line a data set."""
    arguments = argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    means = {}
    for data in DataSet.all_of(arguments.data, arguments.sets):
        runs = [_run(data, seed) for seed in tqdm(arguments.seeds, desc=data.name, disable=None)]
        means[data.name] = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    for columns, digits in ((QUALITY, 3), (COST, 2)):
        print(f"\n| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for name, mean in means.items():
            print(f"| {name} | {' | '.join(f'{mean[key]:.{digits}f}' for key in columns)} |")
    print(f"\nCalibrating a million rows of 4 classes: {_seconds_to_apply():.3f} CPU s")


def _run(data: DataSet, seed: int) -> dict[str, float]:
    recipe, label_sets, channels = Recipe(seed=seed), data.label_sets, data.pair.channels
    examples = data.examples()
    folds = list(assign_folds(range(len(examples)), {}).values())
    fitted, fitting = _timed(lambda: fit(examples, label_sets, channels, recipe))
    validation, checking = _timed(lambda: cross_validate(fitted, folds))
    earlier = fit(examples[:-1], label_sets, channels, recipe)
    earlier_folds = cross_validate(earlier, folds[:-1])
    warm, fitting_on = _timed(lambda: fit(examples, label_sets, channels, recipe, start=earlier.segmenter))
    _, checking_on = _timed(
        lambda: cross_validate(warm, folds, earlier_folds.segmenters if earlier_folds else None)
    )
    assert validation, f"{data.name} has a single training task"
    return _errors(data, fitted, validation) | {
        "fit": fitting,
        "check": checking,
        "ratio": checking / fitting,
        "fit, one added": fitting_on,
        "check, one added": checking_on,
        "ratio, one added": checking_on / fitting_on,
    }


def _errors(data: DataSet, fitted: Fitted, validation: CrossValidation) -> dict[str, float]:
    segmenter = fitted.segmenter
    classes = learned_classes(data.examples(), data.label_sets)
    targets = [
        fitted.prepared.lengths.targets(
            with_learned_classes(task.example(data.label_sets), data.label_sets, classes)
        )
        for task in data.test
    ]
    raw = [segmenter.probabilities(task.series.values, task.series.times) for task in data.test]
    errors: dict[str, float] = {}
    for name, calibration in (("before", Calibration()), ("after", validation.calibration)):
        calibrated = replace(segmenter, calibration=calibration)
        errors[f"rows {name}"] = expected_calibration_error(list(map(calibration.apply, raw)), targets)
        predicted = [
            calibrated.segmentation(each, task.series.values).segments
            for each, task in zip(raw, data.test, strict=True)
        ]
        scores = [segment.score for segments in predicted for segment in segments]
        right = [
            _right(segment, task.segments)
            for segments, task in zip(predicted, data.test, strict=True)
            for segment in segments
        ]
        errors[f"regions {name}"] = calibration_error(
            reliability_of(np.array(scores, np.float32), np.array(right), REGION_BINS)
        )
    out_of_fold = evaluate(
        [
            task.compare(each.segments)
            for task, each in zip(data.train, validation.segmentations, strict=True)
        ],
        data.label_sets,
    )
    test = data.metrics(segmenter)
    return errors | {
        "rows out of fold": validation.calibration_error,
        "temperature": validation.calibration.temperature,
        "macro F1 out of fold": out_of_fold["macro_f1"],
        "macro F1 test": test["macro_f1"],
        "F1 out of fold": data.main_metric(out_of_fold),
        "F1 test": data.main_metric(test),
    }


def _right(segment: Segment, drawn: list[Segment]) -> bool:
    of_kind = [each for each in drawn if each.instant == segment.instant]
    if segment.instant:
        return instant_matches(of_kind, [segment], TOLERANCE).matched > 0
    return overlap_matches(of_kind, [segment], 0.5).matched > 0


def _timed(function: Callable[[], Result]) -> tuple[Result, float]:
    began = time.process_time()
    result = function()
    return result, time.process_time() - began


def _seconds_to_apply() -> float:
    probabilities = np.full((1_000_000, 4), 0.25, np.float32)
    calibration = Calibration(1.5, (0.1, 0.0, -0.1, 0.0))
    return min(_timed(lambda: calibration.apply(probabilities))[1] for _ in range(5))


if __name__ == "__main__":
    main()
