"""Options that commands share, and how a command is added to the command line."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from timeseries_segmenter.project.task import TaskId, task_id

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command = Callable[[argparse.Namespace, "Settings"], None]


def add_command(
    commands: Commands, command: Command, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """A parser for a command, with its name and its docstring."""
    about = (command.__doc__ or "").rstrip(".")
    parser: argparse.ArgumentParser = commands.add_parser(
        command.__name__, parents=parents, help=about, description=f"{about}."
    )
    parser.set_defaults(command=command)
    return parser


def task_files() -> argparse.ArgumentParser:
    """A parent of commands that work on annotated tasks in files."""
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("--config", type=Path, required=True, help="the project's labeling config, XML")
    add_tasks(files, required=True)
    add_task_choice(files)
    files.add_argument("--model", type=Path, required=True, help="the model file")
    return files


def add_tasks(parser: argparse._ActionsContainer, *, required: bool) -> None:
    """The option `--tasks`."""
    parser.add_argument(
        "--tasks", type=Path, required=required, help="a JSON export; paths of series are relative to it"
    )


def add_task_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose some of the tasks."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--task-ids", type=_task_ids, metavar="1,2,3", help="only these tasks")
    which.add_argument(
        "--split",
        type=Path,
        help='file with {"train": [ids], "test": [ids]}: train takes the one, others the other',
    )


def add_project(
    parser: argparse._ActionsContainer, about: str = "the project's number", *, required: bool = True
) -> None:
    """The option `--project`."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise argparse.ArgumentTypeError(f"{text!r:.60} is not a project number")
        return int(text)

    parser.add_argument("--project", type=number, required=required, help=about)


def add_model_source(parser: argparse.ArgumentParser) -> None:
    """The options of which one says where a model is."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="a model file")
    add_project(source, "a project's number: its current model", required=False)


def _task_ids(text: str) -> list[TaskId]:
    ids = [task_id(part) for part in text.split(",")]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of task ids, such as 1,2,3")
    return known
