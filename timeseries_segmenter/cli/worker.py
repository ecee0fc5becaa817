"""The command `worker`."""

import argparse
from typing import TYPE_CHECKING

from timeseries_segmenter.cli.options import Commands, add_command
from timeseries_segmenter.errors import SettingsError

if TYPE_CHECKING:
    from timeseries_segmenter.settings import Settings


def add_worker(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, worker)


def worker(options: argparse.Namespace, settings: "Settings") -> None:
    """Train what the service hands out through Redis (REDIS_URL), until Ctrl-C."""
    del options  # it has none
    if not settings.redis_url.get_secret_value():
        raise SettingsError("REDIS_URL is not set; without Redis the service trains by itself")
    from timeseries_segmenter.trainings.redis_worker import serve

    serve(settings)
