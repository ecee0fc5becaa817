"""Finds the recipe that suits some annotated series, among a handful of candidates, by cross-validation.

Each candidate runs a heat first, on one fold. One that finds fewer segments there than the recipe that is
set goes no further, as in a race (Maron and Moore 1997, doi 10.1023/A:1006556606079); of the others, those
that gained most come first. A candidate changes the best recipe so far, and takes its place if the F1 of
whole segments on held-out series is higher by more than its noise: the standard error of the paired
difference, by the jackknife over series (Efron and Stein 1981, doi 10.1214/aos/1176345462).
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from timeseries_segmenter.learning.device import choose_device, fork_random
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.observer import NOBODY, Observer, Step
from timeseries_segmenter.learning.segment_metrics import Matches, paired_difference
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.training.decoding_fit import fit_decoding
from timeseries_segmenter.learning.training.optimisation import optimise
from timeseries_segmenter.learning.training.prepared import Prepared
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.training.schedule import LEARNING_RATE, PlannedSchedule
from timeseries_segmenter.learning.validation.candidates import Candidate
from timeseries_segmenter.learning.validation.held_out import learn_from_held_out
from timeseries_segmenter.learning.validation.matching import find, is_better, match, row_macro_f1
from timeseries_segmenter.segment import LabelSet

AS_SET = "the recipe that is set"


@dataclass(frozen=True, slots=True)
class Trial:
    """How well the networks of a recipe find the segments of held-out series.

    `matches` are those of each example that it was tried on, by the example's place: ranges by half their
    overlap, instants within five rows. `macro_f1` is of rows. `difference` is the F1 less that of the best
    recipe before on the same examples, `noise` the standard error of it; None for the first trial.
    `seconds` are of the CPU.
    """

    name: str
    recipe: Recipe
    matches: Mapping[int, Matches]
    macro_f1: float
    seconds: float
    difference: float | None = None
    noise: float | None = None
    better: bool = False

    @property
    def f1(self) -> float:
        """F1 of the segments of these examples together."""
        return sum(self.matches.values(), Matches()).f1

    @property
    def gain(self) -> float:
        """The difference; 0 for the first trial."""
        return self.difference or 0.0

    @property
    def tasks(self) -> int:
        """How many examples it was tried on."""
        return len(self.matches)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The trials of a search, that of the recipe that is set first; those on fewer examples are heats.

    `not_tried` names the candidates for which the time did not suffice.
    """

    trials: tuple[Trial, ...]
    not_tried: tuple[str, ...]

    @property
    def best(self) -> Trial:
        """The trial of the recipe that suits the examples best."""
        return next((trial for trial in reversed(self.trials) if trial.better), self.trials[0])


def search(
    examples: Sequence[Example],
    label_sets: Sequence[LabelSet],
    channels: Sequence[str],
    recipe: Recipe,
    folds: Sequence[int],
    steps: int,
    seconds: float,
    candidates: Sequence[Candidate],
    *,
    fixed: Collection[str] = (),
    observer: Observer = NOBODY,
    clock: Callable[[], float] = time.process_time,
) -> SearchResult:
    """Compare `recipe` with what `candidates` make of it, by networks that learn for `steps` steps, or
    for as many more as a candidate asks for.

    `folds` are those of `examples`, in their order, at least two. `fixed` are fields of the recipe that no
    candidate may change. What is expected to take longer than what is left of `seconds` by `clock`, the CPU's
    by default, is not begun, and what does after all is given up. If not even the first trial ends in time,
    it is one of some of the folds.
    Raises TrainingError if no example holds a labelled row.
    """
    observer.on_step(Step.SEARCHING)
    race = _Race(examples, label_sets, channels, recipe, folds, steps, clock, clock() + seconds)
    most = 1 + 2 * len(candidates)
    observer.on_candidate(AS_SET, 1, most)
    heat_of_set = race.heat(AS_SET, recipe)
    best = race.run(AS_SET, recipe) or heat_of_set
    heats: list[tuple[Trial, Candidate]] = []
    not_tried = []
    for number, candidate in enumerate(candidates, 2):
        changed = candidate.change(recipe)
        if _changes(recipe, changed) & set(fixed) or changed in (recipe, *(heat.recipe for heat, _ in heats)):
            continue
        if not race.has_time_for(changed, 1):
            not_tried.append(candidate.name)
            continue
        observer.on_candidate(candidate.name, number, most)
        heats.append((compared(race.heat(candidate.name, changed), heat_of_set), candidate))
    heats.sort(key=lambda each: -each[0].gain)
    trials = [best]
    for number, (heat, candidate) in enumerate(heats, 2 + len(candidates)):
        if heat.gain < 0:
            trials.append(replace(heat, better=False))
            continue
        changed = candidate.change(best.recipe)
        if changed in (trial.recipe for trial in trials):
            continue
        observer.on_candidate(candidate.name, number, most)
        trial = race.run(candidate.name, changed)
        if trial is None:
            not_tried.append(candidate.name)
            continue
        trials.append(compared(trial, best))
        if trials[-1].better:
            best = trials[-1]
    return SearchResult(tuple(trials), tuple(not_tried))


def compared(trial: Trial, best: Trial) -> Trial:
    """The trial with its difference from `best`, on the examples that both were tried on."""
    places = sorted(trial.matches.keys() & best.matches.keys())
    difference, noise = paired_difference(
        *([each.matches[place] for place in places] for each in (trial, best))
    )
    return replace(trial, difference=difference, noise=noise, better=is_better(difference, noise))


class _Race:
    """What the trials of a search have in common, and the networks of heats."""

    def __init__(
        self,
        examples: Sequence[Example],
        label_sets: Sequence[LabelSet],
        channels: Sequence[str],
        recipe: Recipe,
        folds: Sequence[int],
        steps: int,
        clock: Callable[[], float],
        ends: float,
    ) -> None:
        self._data = examples, label_sets, channels
        self._recipe, self._steps = recipe, steps
        self._folds, self._names = folds, sorted(set(folds))
        self._clock, self._ends = clock, ends
        self._heats: dict[Recipe, tuple[dict[int, Segmenter], float]] = {}
        self._seconds_of_fold = 0.0  # of the recipe that is set

    def has_time_for(self, recipe: Recipe, folds: int) -> bool:
        """Whether what is left suffices for networks of so many folds, by the timesteps that they see."""
        longer = recipe.steps * recipe.sequence_size / (self._recipe.steps * self._recipe.sequence_size)
        return self._clock() + folds * longer * self._seconds_of_fold <= self._ends

    def heat(self, name: str, recipe: Recipe) -> Trial:
        """A trial on the first fold, whose network is kept for one on all."""
        began = self._clock()
        prepared = Prepared.from_examples(*self._data, recipe)
        segmenters = self._learn(prepared, self._names[:1])
        trial = _trial(name, prepared, self._folds, segmenters, self._clock() - began)
        self._heats[recipe] = segmenters, trial.seconds
        self._seconds_of_fold = self._seconds_of_fold or trial.seconds
        return trial

    def run(self, name: str, recipe: Recipe) -> Trial | None:
        """A trial on all folds, or None if the time does not suffice for it."""
        segmenters, seconds = self._heats.get(recipe, ({}, 0.0))
        missing = self._names[len(segmenters) :]
        if not self.has_time_for(recipe, len(missing)):
            return None
        began = self._clock()
        prepared = Prepared.from_examples(*self._data, recipe)
        segmenters = segmenters | self._learn(prepared, missing)
        if len(segmenters) < len(self._names):
            return None
        return _trial(name, prepared, self._folds, segmenters, seconds + self._clock() - began)

    def _learn(self, prepared: Prepared, folds: Sequence[int]) -> dict[int, Segmenter]:
        """A segmenter of the examples outside of each fold: of one at least, then until the time is over."""
        steps = round(self._steps * prepared.recipe.steps / self._recipe.steps)
        segmenters: dict[int, Segmenter] = {}
        with fork_random(choose_device(prepared.recipe.device)):
            for fold in folds:
                if segmenters and self._clock() >= self._ends:
                    break
                rest = prepared.without({place for place, other in enumerate(self._folds) if other == fold})
                network, _ = optimise(rest, None, PlannedSchedule(LEARNING_RATE, steps))
                segmenters[fold] = fit_decoding(network, rest)
        return segmenters


def _trial(
    name: str, prepared: Prepared, folds: Sequence[int], segmenters: Mapping[int, Segmenter], seconds: float
) -> Trial:
    """Of the examples in the folds of the `segmenters`, which have not learned from them."""
    places = [place for place, fold in enumerate(folds) if fold in segmenters]
    held_out, folds_of = prepared.part(places), [folds[place] for place in places]
    learned = learn_from_held_out(held_out, folds_of, segmenters)
    decodings = [segmenters[fold].decoding.at_prices(learned.price_factors) for fold in folds_of]
    found = find(held_out, decodings, learned.probabilities)
    matches = dict(zip(places, match(held_out, found), strict=True))
    return Trial(name, prepared.recipe, matches, row_macro_f1(held_out, found), seconds)


def _changes(before: Recipe, after: Recipe) -> set[str]:
    """The names of the fields in which two recipes differ."""
    return {
        field.name for field in fields(Recipe) if getattr(before, field.name) != getattr(after, field.name)
    }
