from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.candidates import CANDIDATES, Candidate
from timeseries_segmenter.learning.observer import NOBODY, Observer, Step
from timeseries_segmenter.learning.recipe import Recipe
from timeseries_segmenter.learning.search import AS_SET, SearchResult, Trial, compared, search
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.segment import UNKNOWN

FOLDS = [0, 1, 0, 1]
POOR = Recipe(sequence_size=4, hidden_size=1, rolling_features=False, forest=False)
BIGGER = Candidate("more units", lambda best: replace(best, hidden_size=16))
LONGER = Candidate("longer windows", lambda best: replace(best, sequence_size=32))


class Seen(Observer):
    def __init__(self) -> None:
        self.moments: list[object] = []

    def on_step(self, step: Step) -> None:
        self.moments.append(step)

    def on_candidate(self, name: str, number: int, most: int) -> None:
        self.moments.append((name, number, most))


def run(
    *candidates: Candidate,
    steps: int = 30,
    seconds: float = 90,
    fixed: Collection[str] = (),
    observer: Observer = NOBODY,
    clock: Callable[[], float] | None = None,
) -> SearchResult:
    """A search on four series; by default each look at the clock takes a second."""
    ticks = count()
    return search(
        [synthetic(seed) for seed in range(4)],
        LABEL_SETS,
        ("x", "y"),
        POOR,
        FOLDS,
        steps,
        seconds,
        candidates,
        fixed=fixed,
        observer=observer,
        clock=clock or (lambda: next(ticks)),
    )


def trial(*matches: tuple[int, int, int]) -> Trial:
    return Trial("", Recipe(), tuple(Matches(*each) for each in matches), 0.5, 1.0)


def test_a_change_that_helps_is_kept_and_the_next_candidate_builds_on_it() -> None:
    found = run(BIGGER, LONGER)
    assert [each.name for each in found.trials] == [AS_SET, "more units", "longer windows"]
    assert found.trials[2].recipe == replace(POOR, hidden_size=16, sequence_size=32)
    assert found.best.f1 > found.trials[0].f1
    assert found.best.better


def test_a_search_gives_the_same_result_each_time() -> None:
    assert run(BIGGER) == run(BIGGER)


def test_a_recipe_is_tried_once_and_a_field_that_people_fixed_is_not_changed() -> None:
    same = Candidate("no change", lambda best: best)
    found = run(same, BIGGER, BIGGER, LONGER, steps=1, fixed={"sequence_size"})
    assert [each.name for each in found.trials] == [AS_SET, "more units"]
    assert not found.not_tried


def test_a_candidate_that_would_not_fit_in_the_time_is_not_begun_and_is_named() -> None:
    # a look when the search begins, one before each candidate, and in a trial four: at both ends and per fold
    found = run(BIGGER, LONGER, steps=1, seconds=10)
    assert [each.name for each in found.trials] == [AS_SET, "more units"]
    assert found.not_tried == ("longer windows",)


def test_a_trial_ends_with_the_time() -> None:
    (first,) = run(BIGGER, steps=1, seconds=2).trials
    assert [each.true > 0 for each in first.matches] == [True, False, True, False]  # those of the first fold
    # a second for each fold of the first trial, and four for one of the candidate, which is given up
    moments = iter([0, 0, 1, 2, 2, 2, 2, 6, 6])
    given_up = run(BIGGER, steps=1, seconds=5, clock=lambda: next(moments))
    assert len(given_up.trials) == 1
    assert given_up.not_tried == ("more units",)


def test_candidates_are_observed() -> None:
    seen = Seen()
    run(BIGGER, steps=1, observer=seen)
    assert seen.moments == [Step.SEARCHING, (AS_SET, 1, 2), ("more units", 2, 2)]


def test_instants_are_found_within_five_rows() -> None:
    examples = [events(seed) for seed in range(4)]
    recipe = Recipe(hidden_size=16)
    found = search(examples, (("Beat",),), ("x",), recipe, FOLDS, 120, 90, ())
    assert found.best.f1 > 0.9
    assert found.best.macro_f1 > 0.8
    assert sum(each.true for each in found.best.matches) == 40


def test_what_is_found_on_rows_of_unknown_class_is_neither_right_nor_wrong() -> None:
    recipe = Recipe(hidden_size=16)
    known = [synthetic(seed) for seed in range(4)]
    half = [replace(each, classes=np.where(np.arange(300) < 150, each.classes, UNKNOWN)) for each in known]
    found = search([*known, *half], LABEL_SETS, ("x", "y"), recipe, FOLDS * 2, 120, 90, ())
    assert all(each.predicted == each.true for each in found.best.matches)
    assert sum(each.true for each in found.best.matches[4:]) < 12


@pytest.mark.parametrize(
    ("after", "better"),
    [
        ([(9, 10, 10)] * 4, True),  # a little better on each series
        ([(8, 10, 10)] * 4, False),  # the same
        ([(7, 10, 10)] * 4, False),
        ([(10, 10, 10), (7, 10, 10), (9, 10, 10), (7, 10, 10)], False),  # better on the whole, by chance
    ],
)
def test_better_is_what_exceeds_its_noise(after: list[tuple[int, int, int]], better: bool) -> None:
    assert compared(trial(*after), trial(*[(8, 10, 10)] * 4)).better is better


def test_a_gain_of_less_than_a_hundredth_is_not_worth_a_new_recipe() -> None:
    before, after = trial(*[(900, 1000, 1000)] * 4), trial(*[(905, 1000, 1000)] * 4)
    compared_trial = compared(after, before)
    assert compared_trial.difference == pytest.approx(0.005)
    assert compared_trial.noise == pytest.approx(0)
    assert not compared_trial.better


def test_the_noise_is_the_standard_error_of_the_difference() -> None:
    # equal totals: the pooled difference is the mean of those of the series, and so is its standard error
    after = trial((9, 10, 10), (8, 10, 10), (10, 10, 10), (7, 10, 10))
    found = compared(after, trial(*[(7, 10, 10)] * 4))
    differences = [0.2, 0.1, 0.3, 0.0]
    error = (sum((each - 0.15) ** 2 for each in differences) / 3 / 4) ** 0.5
    assert found.difference == pytest.approx(0.15)
    assert found.noise == pytest.approx(error)


def test_the_candidates_depend_on_the_recipe_alone_and_change_it() -> None:
    for candidate in CANDIDATES:
        assert candidate.change(Recipe()) == candidate.change(Recipe()) != Recipe()
