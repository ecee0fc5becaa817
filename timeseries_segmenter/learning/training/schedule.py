"""Learning rate by step: it warms up, holds, and falls to zero.

"Warmup, stable, decay" (Hu et al. 2024, arXiv 2404.06395): when the fall begins can follow from the
metrics of the training, and the fall, where most of the gain is, is never cut off.
"""

from collections.abc import Callable

from timeseries_segmenter.learning.metrics import Scores

LEARNING_RATE = 4e-3  # the peak of a training from scratch
WARMUP = 20  # steps
LEAST_STEPS = 150  # before the learning rate may fall
PATIENCE_MET = 80  # steps without improvement after which it falls, thresholds met
PATIENCE_UNMET = 400  # the same where they are not met
DECAY_SHARE = 1.0  # steps of the fall, as a share of those before it
IMPROVEMENT = 0.02  # of balanced accuracy plus worst F1


class Schedule:
    """The fall goes from the step `falls_from` to the step `ends_at`, where the rate is zero.

    `ends_at` is None until the fall begins; it is `most_steps` at the latest.
    """

    def __init__(self, peak: float, most_steps: int, ends_at: int | None) -> None:
        self.peak = peak
        self.most_steps = most_steps
        self.falls_from = 0
        self.ends_at = ends_at

    @property
    def last_step(self) -> int:
        """The training ends with this step or, before the fall has begun, maybe with an earlier one."""
        return self.most_steps if self.ends_at is None else self.ends_at

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        rate = min(1.0, step / WARMUP)
        if self.ends_at is not None:
            rate = min(rate, max(0.0, (self.ends_at - step) / (self.ends_at - self.falls_from)))
        return self.peak * rate

    def learn(self, step: int, scores: Scores) -> None:
        """Take note of the metrics of an epoch, which ended with `step`."""


class PlannedSchedule(Schedule):
    """Falls from the first step on, to a step that is known."""

    ends_at: int

    def __init__(self, peak: float, ends_at: int) -> None:
        super().__init__(peak, ends_at, ends_at)


class AdaptiveSchedule(Schedule):
    """Falls once the metrics stop improving, or so early that `most_steps` suffice for the fall."""

    def __init__(self, peak: float, most_steps: int, met: Callable[[Scores], bool]) -> None:
        super().__init__(peak, most_steps, None)
        self._met = met
        # a training run that may take few steps still needs some of them for the fall
        self._last_stable = round(most_steps / (1 + DECAY_SHARE))
        self._best, self._best_step = 0.0, 0

    def learn(self, step: int, scores: Scores) -> None:
        """Let the fall begin if it is time."""
        if self.ends_at is not None:
            return
        reached = scores.balanced_accuracy + scores.min_f1
        if reached > self._best + IMPROVEMENT:
            self._best, self._best_step = reached, step
        patience = PATIENCE_MET if self._met(scores) else PATIENCE_UNMET
        if step >= self._last_stable:
            self.falls_from, self.ends_at = step, self.most_steps
        elif step >= LEAST_STEPS and step - self._best_step >= patience:
            self.falls_from, self.ends_at = step, step + int(step * DECAY_SHARE)
