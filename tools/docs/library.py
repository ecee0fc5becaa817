"""The program that shows the use as a library; a test runs it, and mypy checks it."""

from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "docs" / "how-to" / "use_as_a_library.py"


def listing() -> str:
    """The program in full."""
    return f"```python\n{PROGRAM.read_text().strip()}\n```"
