"""The JSON that the service keeps, from its pydantic models."""

from timeseries_segmenter.project.card import Card
from timeseries_segmenter.report.content import LEVELS, POSITIONS, Report
from timeseries_segmenter.trainings.project_trainings import ProjectTrainings
from tools.docs.markdown import models


def training_state() -> str:
    """A project's trainings, as `MODEL_DIR/training` keeps them."""
    return models(ProjectTrainings)


def report() -> str:
    """The training report that is saved in a model file."""
    steps = (
        f"Where it says `None`, the JSON has `null`. `LEVELS` are {LEVELS}, `POSITIONS` {POSITIONS} steps."
    )
    return f"{steps}\n\n{models(Report, elsewhere=[Card])}"


def card() -> str:
    """The card of a version in its model file."""
    return models(Card)
