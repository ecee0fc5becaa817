from pathlib import Path

import pytest

from benchmarks import many_projects
from benchmarks.many_projects import PAGES, Measured, fill, keep_summaries


@pytest.mark.parametrize("page", PAGES)
def test_a_service_with_many_projects_answers_what_is_measured(page: str, tmp_path: Path) -> None:
    fill(tmp_path, 2, 2)
    keep_summaries(tmp_path)
    measured = many_projects.measure(tmp_path, page, 2)
    assert (measured.warm is not None, measured.size > 0) == (True, True)


def test_targets_are_those_of_the_first_answer_and_of_the_next_ones() -> None:
    assert [Measured(cold, warm, 0).met for cold, warm in ((2.9, 0.29), (3.1, 0.1), (1.0, 0.31))] == [
        True,
        False,
        False,
    ]
