"""Numbers that are compared as parts of objects."""

from typing import cast

import pytest


def near(value: float, abs: float | None = None) -> float:
    """A number that equals each one near it, as `pytest.approx`, where a type asks for a float."""
    return cast(float, pytest.approx(value, abs=abs))
