import pytest

from timeseries_segmenter.project.versions import shorten_version, version_number

VERSION = "p47-v3-20261129T120339Z"


@pytest.mark.parametrize(
    ("version", "project", "short"),
    [
        (VERSION, None, "v3"),
        (VERSION, 47, "v3"),
        (VERSION, 4, "v3 of project 47"),
        ("mine", 47, "mine"),
        ("untrained", None, "untrained"),
        ("", 47, ""),
    ],
)
def test_a_version_is_short_for_people_and_names_its_project_among_those_of_another(
    version: str, project: int | None, short: str
) -> None:
    assert shorten_version(version, project) == short


def test_versions_that_a_person_named_have_no_number() -> None:
    assert (version_number(VERSION), version_number("mine")) == (3, 0)
