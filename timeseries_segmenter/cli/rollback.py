"""The command `rollback`."""

import argparse
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command, add_project
from timeseries_segmenter.errors import ExportError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_rollback(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(commands, rollback)
    add_project(parser)
    parser.add_argument("--to", metavar="VERSION", help="the version to serve again")


def rollback(options: argparse.Namespace, settings: "Settings") -> None:
    """Serve an earlier version of a project's model again, by default the one before."""
    from timeseries_segmenter.storage.files import writing_to
    from timeseries_segmenter.storage.model_store import ModelStore
    from timeseries_segmenter.trainings.queue import JobQueue

    store = ModelStore(settings)
    try:
        version = store.roll_back(options.project, options.to)
    except OSError as error:
        raise ExportError(f"{settings.model_dir} can't be written: {error.strerror}") from error
    restored = store.card(options.project, version).restored
    then = "retrieve predictions in Label Studio"
    if settings.predict_after_training:
        then = "its predictions follow once the service runs"
        with (
            writing_to(settings.model_dir),
            JobQueue(settings.model_dir).change(options.project) as trainings,
        ):
            trainings.plan_prediction()
    print(f"project {options.project}: {version} is {restored} again; {then}")
