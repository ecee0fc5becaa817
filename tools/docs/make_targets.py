"""The targets of the Makefile, from the words behind them."""

import re
from pathlib import Path

from tools.docs.markdown import table

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def found() -> dict[str, str]:
    """What each target does."""
    return dict(re.findall(r"^([a-z0-9-]+):.*## (.+)$", MAKEFILE.read_text(), re.MULTILINE))


def targets() -> str:
    """A table of the targets."""
    return table(("Target", ""), [(f"`make {name}`", words) for name, words in found().items()])
