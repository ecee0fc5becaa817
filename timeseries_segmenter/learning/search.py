"""Finds the recipe that suits some annotated series, among a handful of candidates, by cross-validation.

Each candidate changes the best recipe so far, and takes its place if the F1 of whole segments on held-out
series is higher by more than its noise: the standard error of the paired difference, by the jackknife over
series (Efron and Stein 1981, doi 10.1214/aos/1176345462).
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace

from timeseries_segmenter.learning.candidates import Candidate
from timeseries_segmenter.learning.cross_validation import leave_out
from timeseries_segmenter.learning.decoding_fit import fit_decoding
from timeseries_segmenter.learning.device import choose_device, fork_random
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.held_out import learn_from_held_out
from timeseries_segmenter.learning.matching import find, is_better, match, row_macro_f1
from timeseries_segmenter.learning.observer import NOBODY, Observer, Step
from timeseries_segmenter.learning.optimisation import optimise
from timeseries_segmenter.learning.prepared import Prepared
from timeseries_segmenter.learning.recipe import Recipe
from timeseries_segmenter.learning.schedule import LEARNING_RATE, PlannedSchedule
from timeseries_segmenter.learning.segment_metrics import Matches, paired_difference
from timeseries_segmenter.segment import LabelSet

AS_SET = "the recipe that is set"


@dataclass(frozen=True, slots=True)
class Trial:
    """How well the networks of a recipe find the segments of held-out series.

    `matches` are one per example, in their order: ranges by half their overlap, instants within five rows.
    `macro_f1` is of rows. `difference` is the F1 less that of the best recipe before, `noise` the standard
    error of it; None for the first trial. `seconds` are of the CPU.
    """

    name: str
    recipe: Recipe
    matches: tuple[Matches, ...]
    macro_f1: float
    seconds: float
    difference: float | None = None
    noise: float | None = None
    better: bool = False

    @property
    def f1(self) -> float:
        """F1 of the segments of all examples together."""
        return sum(self.matches, Matches()).f1


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The trials of a search, that of the recipe that is set first.

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
    candidate may change. A candidate is begun only if what is left of `seconds` by `clock`, the CPU's by
    default, suffices for a trial as long as the longest so far, and given up if it does not after all. If not
    even the first trial ends in time, it is one of some of the folds.
    Raises TrainingError if no example holds a labelled row.
    """
    ends = clock() + seconds
    observer.on_step(Step.SEARCHING)

    def measure(name: str, tried: Recipe, number: int) -> tuple[Trial, bool]:
        """A trial, and whether it came to its end in time."""
        observer.on_candidate(name, number, 1 + len(candidates))
        began = clock()
        prepared = Prepared.from_examples(examples, label_sets, channels, tried)
        of_trial = round(steps * tried.steps / recipe.steps)
        matches, macro_f1, whole = _cross_validate(prepared, folds, of_trial, lambda: clock() < ends)
        return Trial(name, tried, matches, macro_f1, clock() - began), whole

    best, _ = measure(AS_SET, recipe, 1)
    trials, not_tried = [best], []
    for number, candidate in enumerate(candidates, 2):
        changed = candidate.change(best.recipe)
        if _changes(best.recipe, changed) & set(fixed) or any(changed == each.recipe for each in trials):
            continue
        if clock() + max(each.seconds for each in trials) > ends:
            not_tried.append(candidate.name)
            continue
        trial, whole = measure(candidate.name, changed, number)
        if not whole:
            not_tried.append(candidate.name)
            continue
        trials.append(compared(trial, best))
        if trials[-1].better:
            best = trials[-1]
    return SearchResult(tuple(trials), tuple(not_tried))


def compared(trial: Trial, best: Trial) -> Trial:
    """The trial with its difference from the `best` before it, on the same examples."""
    difference, noise = paired_difference(trial.matches, best.matches)
    return replace(trial, difference=difference, noise=noise, better=is_better(difference, noise))


def _cross_validate(
    prepared: Prepared, folds: Sequence[int], steps: int, in_time: Callable[[], bool]
) -> tuple[tuple[Matches, ...], float, bool]:
    """Matches of each example by the network and forest of its fold, the macro F1 of all rows, and whether
    that is all. Folds that are left when the time is over have no matches.
    """
    segmenters = {}
    with fork_random(choose_device(prepared.recipe.device)):
        for fold, rest in leave_out(prepared, folds):
            network, _ = optimise(rest, None, PlannedSchedule(LEARNING_RATE, steps))
            segmenters[fold] = fit_decoding(network, rest)
            if not in_time():
                break
    places = [place for place, fold in enumerate(folds) if fold in segmenters]
    held_out, folds_of = prepared.part(places), [folds[place] for place in places]
    decodings = [segmenters[fold].decoding for fold in folds_of]
    opinions = [
        segmenters[fold].opinions(example.values)
        for example, fold in zip(held_out.examples, folds_of, strict=True)
    ]
    learned = learn_from_held_out(held_out, folds_of, decodings, opinions)
    decodings = [each.at_prices(learned.price_factors) for each in decodings]
    found = find(held_out, decodings, learned.probabilities)
    matches = dict(zip(places, match(held_out, found), strict=True))
    every = tuple(matches.get(place, Matches()) for place in range(len(folds)))
    return every, row_macro_f1(held_out, found), len(segmenters) == len(set(folds))


def _changes(before: Recipe, after: Recipe) -> set[str]:
    """The names of the fields in which two recipes differ."""
    return {
        field.name for field in fields(Recipe) if getattr(before, field.name) != getattr(after, field.name)
    }
