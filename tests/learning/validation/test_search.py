from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tests.support.synthetic import LABEL_SETS, events, synthetic
from timeseries_segmenter.learning.observer import NOBODY, Epoch, Observer, Step
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segment_metrics import Matches
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.optimisation import optimise
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.schedule import Schedule
from timeseries_segmenter.learning.validation.candidates import CANDIDATES, Candidate
from timeseries_segmenter.learning.validation.search import AS_SET, SearchResult, Trial, compared, search
from timeseries_segmenter.segment import UNKNOWN

FOLDS = [0, 1, 0, 1]
POOR = Recipe(sequence_size=4, hidden_size=1, rolling_features=False, forest=False)
BIGGER = Candidate("more units", lambda best: replace(best, hidden_size=16))
LONGER = Candidate("longer windows", lambda best: replace(best, sequence_size=32))
WORSE = Candidate("fewer steps", lambda best: replace(best, steps=30))


class Seen(Observer):
    def __init__(self) -> None:
        self.moments: list[object] = []

    def on_step(self, step: Step) -> None:
        self.moments.append(step)

    def on_candidate(self, name: str, number: int, most: int) -> None:
        self.moments.append((name, number, most))


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes of the networks that searches learn, one after the other."""
    recipes: list[Recipe] = []

    def spy(prepared: Prepared, start: Segmenter | None, schedule: Schedule) -> tuple[Network, list[Epoch]]:
        recipes.append(prepared.recipe)
        return optimise(prepared, start, schedule)

    monkeypatch.setattr("timeseries_segmenter.learning.validation.search.optimise", spy)
    return recipes


def run(
    *candidates: Candidate,
    folds: Sequence[int] = FOLDS,
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
        folds,
        steps,
        seconds,
        candidates,
        fixed=fixed,
        observer=observer,
        clock=clock or (lambda: next(ticks)),
    )


def trial(*matches: tuple[int, int, int]) -> Trial:
    return Trial("", Recipe(), dict(enumerate(Matches(*each) for each in matches)), 0.5, 1.0)


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


def test_a_candidate_that_finds_less_on_the_first_fold_goes_no_further() -> None:
    found = run(WORSE, BIGGER, steps=40)
    assert [(each.name, each.tasks) for each in found.trials[1:]] == [("more units", 4), ("fewer steps", 2)]
    worse = found.trials[2]
    assert worse.difference is not None
    assert worse.difference < 0
    assert not worse.better


def test_what_gains_most_on_the_first_fold_comes_first_and_its_network_is_learned_once(
    learned: list[Recipe],
) -> None:
    found = run(BIGGER, LONGER, steps=40)
    assert [each.name for each in found.trials] == [AS_SET, "longer windows", "more units"]
    bigger, longer = BIGGER.change(POOR), LONGER.change(POOR)
    assert learned == [POOR, POOR, bigger, longer, longer, *[BIGGER.change(longer)] * 2]


def test_a_candidate_for_which_the_time_would_not_suffice_is_not_begun_and_is_named(
    learned: list[Recipe],
) -> None:
    # each network takes a second: there is time for one of "more units", not for windows eight times as long
    found = run(BIGGER, LONGER, steps=1, seconds=3, clock=lambda: len(learned))
    assert [each.name for each in found.trials] == [AS_SET]
    assert found.not_tried == ("longer windows", "more units")
    assert learned == [POOR, POOR, BIGGER.change(POOR)]


def test_a_trial_ends_with_the_time(learned: list[Recipe]) -> None:
    (first,) = run(steps=1, seconds=0.5, clock=lambda: len(learned)).trials
    assert list(first.matches) == [0, 2]  # those of the first fold
    learned.clear()
    # the second network of "more units" takes ten seconds
    slow = run(
        BIGGER, steps=1, folds=(0, 1, 2, 0), seconds=8, clock=lambda: len(learned) + 9 * (len(learned) > 4)
    )
    assert [each.name for each in slow.trials] == [AS_SET]
    assert slow.not_tried == ("more units",)
    assert len(learned) == 5


def test_candidates_are_observed() -> None:
    seen = Seen()
    run(BIGGER, steps=1, observer=seen)
    assert seen.moments == [Step.SEARCHING, (AS_SET, 1, 3), ("more units", 2, 3), ("more units", 3, 3)]


def test_instants_are_found_within_five_rows() -> None:
    examples = [events(seed) for seed in range(4)]
    recipe = Recipe(hidden_size=16)
    found = search(examples, (("Beat",),), ("x",), recipe, FOLDS, 120, 90, ())
    assert found.best.f1 > 0.9
    assert found.best.macro_f1 > 0.8
    assert sum(each.true for each in found.best.matches.values()) == 40


def test_what_is_found_on_rows_of_unknown_class_is_neither_right_nor_wrong() -> None:
    recipe = Recipe(hidden_size=16)
    known = [synthetic(seed) for seed in range(4)]
    half = [replace(each, classes=np.where(np.arange(300) < 150, each.classes, UNKNOWN)) for each in known]
    found = search([*known, *half], LABEL_SETS, ("x", "y"), recipe, FOLDS * 2, 120, 90, ())
    assert all(each.predicted == each.true for each in found.best.matches.values())
    assert sum(found.best.matches[place].true for place in range(4, 8)) < 12


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
