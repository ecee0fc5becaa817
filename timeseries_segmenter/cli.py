"""The command line: models on Label Studio's export files, and the service's models and workers."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from timeseries_segmenter.errors import SegmenterError
from timeseries_segmenter.file_commands import evaluate_model, predict, train
from timeseries_segmenter.logs import configure_logging
from timeseries_segmenter.project.evaluation import TOLERANCE
from timeseries_segmenter.project.task import TaskId, task_id
from timeseries_segmenter.report_command import report
from timeseries_segmenter.service_commands import roll_back, versions, work
from timeseries_segmenter.settings import Settings, read_settings
from timeseries_segmenter.web.backend import project_number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for an error, or 2 for unusable arguments."""
    options = command_line().parse_args(arguments)
    torch.set_num_threads(1)  # as the service runs it; more gain nothing
    command: Callable[[argparse.Namespace, Settings], None] = options.command
    try:
        overrides: dict[str, object] = {} if command is work else {"log_level": "WARNING"}
        if "tasks" in options:
            overrides["local_files_dir"] = options.tasks.absolute().parent
        settings = read_settings(**overrides)
        configure_logging(settings)
        command(options, settings)
    except SegmenterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _ids(text: str) -> list[TaskId]:
    ids = [task_id(part) for part in text.split(",")]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of task ids, such as 1,2,3")
    return known


def _project(text: str) -> int:
    try:
        return project_number(text or "nothing")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def command_line() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m timeseries_segmenter", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, required=True, help="the project's labeling config, XML")
    common.add_argument(
        "--tasks", type=Path, required=True, help="a JSON export; paths of series are relative to it"
    )
    which = common.add_mutually_exclusive_group()
    which.add_argument("--task-ids", type=_ids, metavar="1,2,3", help="only these tasks")
    which.add_argument(
        "--split",
        type=Path,
        help='file with {"train": [ids], "test": [ids]}: train takes the one, others the other',
    )
    common.add_argument("--model", type=Path, required=True, help="the model file")
    for name, command in (("train", train), ("predict", predict), ("evaluate", evaluate_model)):
        told = (command.__doc__ or "").rstrip(".")
        sub = commands.add_parser(name, parents=[common], help=told, description=told + ".")
        sub.set_defaults(command=command)
        if command is train:
            sub.add_argument(
                "--start", type=Path, help="an earlier model to train on from, where that is as good"
            )
        if command is predict:
            sub.add_argument("--output", type=Path, required=True, help="file to write the predictions to")
        if command is evaluate_model:
            sub.add_argument("--json", action="store_true", help="print the figures as JSON")
            sub.add_argument(
                "--tolerance", type=int, default=TOLERANCE, help="rows an instant may be off (default: 5)"
            )
    for name, command in (("versions", versions), ("rollback", roll_back), ("worker", work)):
        told = (command.__doc__ or "").rstrip(".")
        sub = commands.add_parser(name, help=told, description=told + ".")
        sub.set_defaults(command=command)
        if command is not work:
            sub.add_argument("--project", type=_project, required=True, help="the project's number")
        if command is roll_back:
            sub.add_argument("--to", metavar="VERSION", help="the version to serve again")
    told = (report.__doc__ or "").rstrip(".")
    sub = commands.add_parser("report", help=told, description=told + ".")
    sub.set_defaults(command=report)
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="a model file")
    source.add_argument("--project", type=_project, help="a project's number: its current model")
    sub.add_argument("--output", type=Path, required=True, help="file to write the page to")
    return parser
