"""For what may be missing, and is there where a test looks."""

from typing import TypeVar

T = TypeVar("T")


def need(value: T | None) -> T:
    """The value; fails if there is none."""
    assert value is not None
    return value
