"""The command line: models on files, and the service's models and workers.

A command's modules are imported when it runs, so that `--help` does not wait for torch.
"""

import argparse
import sys
from collections.abc import Sequence

from timeseries_segmenter.cli.evaluate import add_evaluate
from timeseries_segmenter.cli.export import add_export
from timeseries_segmenter.cli.options import Command, task_files
from timeseries_segmenter.cli.predict import add_predict
from timeseries_segmenter.cli.report import add_report
from timeseries_segmenter.cli.rollback import add_rollback
from timeseries_segmenter.cli.train import add_train
from timeseries_segmenter.cli.versions import add_versions
from timeseries_segmenter.cli.worker import add_worker, worker
from timeseries_segmenter.errors import SegmenterError


def main(arguments: Sequence[str] | None = None, prog: str = "timeseries-segmenter") -> int:
    """Run one command; the exit status is 0, 1 for an error, or 2 for unusable arguments."""
    options = command_line(prog).parse_args(arguments)
    import torch

    from timeseries_segmenter.learning.device import check_device
    from timeseries_segmenter.logs import configure_logging
    from timeseries_segmenter.settings import read_settings

    torch.set_num_threads(1)  # as the service runs it; more gain nothing
    command: Command = options.command
    overrides: dict[str, object] = {} if command is worker else {"log_level": "WARNING"}
    if getattr(options, "tasks", None):
        overrides["local_files_dir"] = options.tasks.absolute().parent
    try:
        settings = read_settings(**overrides)
        configure_logging(settings)
        check_device(settings.device)
        command(options, settings)
    except SegmenterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def command_line(prog: str = "timeseries-segmenter") -> argparse.ArgumentParser:
    """The commands and their options."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=prog, description=about)
    commands = parser.add_subparsers(required=True, metavar="command")
    files = task_files()
    add_train(commands, files)
    add_predict(commands)
    add_evaluate(commands, files)
    for add in (add_versions, add_rollback, add_worker, add_report, add_export):
        add(commands)
    return parser
