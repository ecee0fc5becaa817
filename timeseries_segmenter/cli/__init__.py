"""The command line."""

from timeseries_segmenter.cli.command_line import command_line, main

__all__ = ["command_line", "main"]
