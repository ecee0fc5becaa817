"""What a training run logs."""

import logging
from collections.abc import Sequence

from timeseries_segmenter.learning.training.fit import Fitted
from timeseries_segmenter.project.card import Card, Metrics, PairCard
from timeseries_segmenter.project.training import ModelTraining
from timeseries_segmenter.segment import label_set_name

logger = logging.getLogger(__name__)


def log_step(project: int, step: str, outcome: str, seconds: float, **about: str) -> None:
    """A step of a training run ended."""
    logger.info(
        "project %d: %s: %s in %.2f s",
        project,
        step,
        outcome,
        seconds,
        extra={"project": project, "step": step, "seconds": round(seconds, 4)} | about,
    )


def log_news(project: int, what: str, sentences: Sequence[str], known: Sequence[str] | None = None) -> None:
    """Sentences about tasks, each once: those that were `known` to the version before are only counted."""
    new = [sentence for sentence in sentences if sentence not in set(known or ())]
    for sentence in new:
        logger.warning("project %d: %s: %s", project, what, sentence, extra={"project": project})
    if len(new) < len(sentences):
        logger.info("project %d: %s as before: %d", project, what, len(sentences) - len(new))


def log_model(project: int, version: str, training: ModelTraining, card: Card, seconds: float) -> None:
    """A training run made a model: its pairs, those that are not learned, and the whole."""
    for name, pair in training.pairs.items():
        _log_fitted(project, version, name, pair.fitted, card.pairs[name].held_out)
        logger.info("project %d: model %s, %s: %s", project, version, name, _opinions(card.pairs[name]))
        if sampling := card.pairs[name].sampling:
            logger.info("project %d: model %s, %s: %s", project, version, name, sampling)
    for name, reason in training.unlearned.items():
        logger.warning("project %d: nothing is predicted for %s yet: %s", project, name, reason)
    logger.info(
        "project %d: model %s from %d tasks in %.1f s",
        project,
        version,
        len(card.tasks),
        seconds,
        extra={"project": project, "version": version, "seconds": round(seconds, 4)},
    )
    if card.learned_from:
        logger.info("project %d: model %s: %s", project, version, card.learned_from)


def _opinions(card: PairCard) -> str:
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in card.weights.items())
    return f"opinions by weight: {weights}; " + (
        "adapts to each series" if card.adapts else "does not adapt to a series"
    )


def _log_fitted(project: int, version: str, pair: str, fitted: Fitted, held_out: Metrics | None) -> None:
    names = fitted.segmenter.class_names
    f1 = ", ".join(f"{name} {score:.3f}" for name, score in zip(names, fitted.scores.f1, strict=True))
    logger.info(
        "project %d: model %s, %s: %d epochs%s; on the training series: balanced accuracy %.3f, F1 %s",
        project,
        version,
        pair,
        fitted.epochs,
        " on top of the model before" if fitted.warm_started else "",
        fitted.scores.balanced_accuracy,
        f1,
        extra={"project": project, "version": version},
    )
    if held_out:
        logger.info(
            "project %d: model %s, %s: on held-out series: balanced accuracy %.3f, macro F1 %.3f",
            project,
            version,
            pair,
            held_out.balanced_accuracy,
            held_out.mean_f1,
            extra={"project": project, "version": version},
        )
    if not fitted.thresholds_met:
        logger.warning(
            "project %d: the thresholds were not met on the training tasks; look for contradicting regions, "
            "or raise TRAIN_EPOCHS",
            project,
        )
    for labels in fitted.unlearned:
        logger.warning(
            "project %d: no region with the label %s yet; it can't be predicted",
            project,
            label_set_name(labels),
        )
