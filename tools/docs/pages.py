"""Pages, and the generated parts in them."""

import re
from collections.abc import Callable
from pathlib import Path

from tools.docs import (
    command_line,
    endpoints,
    json_files,
    labeling_config,
    library,
    make_targets,
    model_file,
    settings,
)

DOCS = Path(__file__).parents[2] / "docs"
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)

PARTS: dict[str, Callable[[], str]] = {
    "settings": settings.tables,
    "routes": endpoints.routes,
    "bodies": endpoints.bodies,
    "answers": endpoints.answers,
    "metrics": endpoints.metrics,
    "model-settings": labeling_config.model_settings,
    "attributes": labeling_config.attributes,
    "separators": labeling_config.separators,
    "time-format": labeling_config.time_format,
    "commands": command_line.commands,
    "development-server": command_line.development_server,
    "make-targets": make_targets.targets,
    "model-file": model_file.tables,
    "training-state": json_files.training_state,
    "card": json_files.card,
    "report": json_files.report,
    "library": library.listing,
}


def pages() -> list[Path]:
    """All pages of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def rendered(text: str) -> str:
    """A page's text with its generated parts as they should be. Raises KeyError for an unknown part."""
    return PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]().strip()}\n\n{match[3]}", text)
