"""What a version of a project's model is called."""

import re

VERSION = re.compile(r"p(?P<project>\d+)-v(?P<number>\d+)-(?P<moment>\d{8}T\d{6}Z)")


def version_number(version: str) -> int:
    """Counts the models of a project from 1; 0 for a version that a person named."""
    match = VERSION.match(version)
    return int(match["number"]) if match else 0


def shorten_version(version: str, project: int | None = None) -> str:
    """A version for people: `v3`; the name in full if a person gave it.

    Among versions of a `project`, one of another project is named with that: `v3 of project 47`.
    """
    named = VERSION.match(version)
    if named is None:
        return version
    other = project is not None and named["project"] != str(project)
    return f"v{named['number']}" + (f" of project {named['project']}" if other else "")
