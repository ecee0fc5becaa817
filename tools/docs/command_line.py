"""The command line, from argparse's own parsers."""

import argparse
from collections.abc import Mapping

from _wsgi import command_line as server_command_line
from timeseries_segmenter.cli import command_line
from tools.docs.markdown import table


def subcommands() -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of `python -m timeseries_segmenter`, by command."""
    (commands,) = (
        action for action in command_line()._actions if isinstance(action, argparse._SubParsersAction)
    )
    choices: Mapping[str, argparse.ArgumentParser] = commands.choices
    return choices


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments and options of a parser, without `--help`."""
    return [action for action in parser._actions if action.dest != "help"]


def commands() -> str:
    """A section for each command."""
    return "\n\n".join(
        f"### {name}\n\n{parser.description}\n\n{_table(parser)}".rstrip()
        for name, parser in subcommands().items()
    )


def development_server() -> str:
    """The options of `python _wsgi.py`."""
    parser = server_command_line()
    return f"{parser.description}\n\n{_table(parser)}"


def _table(parser: argparse.ArgumentParser) -> str:
    either = [group for group in parser._mutually_exclusive_groups if group.required]
    alternatives = {action for group in either for action in group._group_actions}
    rows = []
    for action in options(parser):
        needed = "one of these" if action in alternatives else "yes" if action.required else "no"
        rows.append((_spelled(action), needed, action.help or ""))
    return table(("Option", "Needed", ""), rows) if rows else ""


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.dest.upper()}`"
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    if action.nargs == 0:
        return names
    choices = "|".join(action.choices) if action.choices else None
    metavar = action.metavar or choices or action.dest.upper().replace("_", "-")
    return f"{names} `{metavar}`"
