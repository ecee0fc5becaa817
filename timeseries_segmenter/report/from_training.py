"""What a training made, as the report and the metadata that are saved with the model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from timeseries_segmenter.learning.calibration import reliability
from timeseries_segmenter.learning.disagreement import disagreements
from timeseries_segmenter.project.model import TrainedModel
from timeseries_segmenter.project.training import ModelTraining, PairTraining
from timeseries_segmenter.report.builder import Checked, disagreement, pair_report, previous
from timeseries_segmenter.report.content import Disagreement, Figures, PairReport, Report, Unlabelled


def reported(
    training: ModelTraining,
    before: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    project: int | None = None,
    unlabelled: Sequence[Unlabelled] = (),
) -> tuple[TrainedModel, dict[str, Any]]:
    """What a training made as it is saved: the model with its report, and metadata.

    `about` stands in both: `created_at`, `title`, `tasks`, `skipped`, `remarks` and `seconds`. `before`
    is the metadata of the version before, `unlabelled` the tasks to annotate next.
    """
    report = Report(
        **about,
        project=project,
        pairs=[_pair_report(name, each) for name, each in training.pairs.items()],
        next=list(unlabelled),
        previous=previous(before) if before else None,
    )
    model = TrainedModel(training.segmenters, training.folds, report.model_dump_json())
    return model, {**about, "pairs": _pairs_metadata(training, report.pairs)}


def _pairs_metadata(training: ModelTraining, pairs: Sequence[PairReport]) -> dict[str, dict[str, Any]]:
    """What is kept of each pair beside its segmenter: figures, and the fold of each task."""
    return {
        each.name: {
            "training": {
                "epochs": each.epochs,
                "continued": each.continued,
                "thresholds_met": each.thresholds_met,
                "unlearned": each.unlearned,
            }
            | _kept(each.training),
            "held_out": _kept(each.held_out) if each.held_out else None,
            "folds": {str(task): fold for task, fold in training.pairs[each.name].folds.items()},
        }
        for each in pairs
    }


def _kept(figures: Figures) -> dict[str, Any]:
    kept = figures.model_dump(exclude={"classes", "confusions", "reliability"})
    # rows tell little of instants: where there is nothing else, it is the mean of their own F1
    return kept | {"macro_f1": figures.mean_f1, "f1": {each.name: each.f1 for each in figures.classes}}


def _pair_report(name: str, training: PairTraining) -> PairReport:
    validation = training.validation
    return pair_report(
        name,
        training.tasks,
        training.fitted,
        Checked(
            [each.segments for each in validation.segmentations],
            validation.calibration_error,
            reliability(validation.probabilities, validation.targets),
        )
        if validation
        else None,
        time_name=training.pair.time_column,
        disagreements=_disagreements(training),
    )


def _disagreements(training: PairTraining) -> Iterator[Disagreement]:
    if training.validation is None:
        return
    drawn = [task.segments for task in training.tasks]
    for each in disagreements(drawn, training.validation, training.fitted.segmenter):
        yield disagreement(
            training.tasks[each.example],
            each.segment,
            () if each.missing else each.segment.labels,
            each.predicted or (),
            each.predicted_probability,
        )
