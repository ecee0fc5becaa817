"""What a version of a project's model is called."""

import re

VERSION = re.compile(r"p(?P<project>\d+)-v(?P<number>\d+)-(?P<moment>\d{8}T\d{6}Z)")


def version_number(version: str) -> int:
    """Counts the models of a project from 1; 0 for a version that a person named."""
    match = VERSION.match(version)
    return int(match["number"]) if match else 0


def shorten_version(version: str) -> str:
    """A version for people: `v3`; the name in full if a person gave it."""
    number = version_number(version)
    return f"v{number}" if number else version
