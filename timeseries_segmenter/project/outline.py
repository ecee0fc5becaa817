"""What of a labeling config another project's model has to match: the channels and labels of its pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

from timeseries_segmenter.errors import LabelConfigError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.card import Card

MOST_CHARACTERS = 100_000  # of names that lists of projects keep


@dataclass(frozen=True, slots=True)
class PairOutline:
    """`labels` are those that a model predicts, or that a labeling config takes; None if tasks bring them.

    With `multiple`, a region may have several of them.
    """

    name: str
    channels: tuple[str, ...]
    labels: tuple[str, ...] | None
    multiple: bool = False


Outline = tuple[PairOutline, ...]


def taken_by(config: LabelConfig) -> Outline:
    """What a labeling config takes from another project's model."""
    outlines = []
    for pair in config.pairs:
        others, known = dict(pair.other_names), pair.predicted_labels
        names = dict.fromkeys((*known, *others))
        labels = tuple(name for name in names if others.get(name, name) in known)
        outlines.append(
            PairOutline(pair.name, pair.channels, None if pair.labels_value else labels, pair.multiple)
        )
    return tuple(outlines)


def given_by(lender: Card) -> Outline:
    """What the model with this card predicts, and from which channels; empty if the card does not say."""
    try:
        pairs = parse_label_config(lender.label_config).pairs
    except LabelConfigError:
        return ()
    return tuple(
        PairOutline(
            pair.name,
            pair.channels,
            tuple(label for label in pair.predicted_labels if label not in lender.pairs[pair.name].unlearned),
            pair.multiple,
        )
        for pair in pairs
        if pair.name in lender.pairs
    )


def shortened_outline(outline: Outline) -> Outline:
    """An outline that is small enough to be kept for lists of projects; empty if this one is not."""
    names = (name for pair in outline for name in (pair.name, *pair.channels, *(pair.labels or ())))
    return outline if sum(map(len, names)) <= MOST_CHARACTERS else ()


def misfit(given: Outline, taken: Outline) -> str:
    """Why a model that gives the one can't predict for a labeling config that takes the other.

    In words that follow the model's name; empty if it can. Each pair that the model has needs one with its
    channels and labels, which may have more. Pairs are the same by name, or by being the only ones.
    """
    if not given:
        return "does not say from which labeling config it learned"
    here = {pair.name: pair for pair in taken}
    if len(given) == len(taken) == 1:
        here[given[0].name] = taken[0]
    return "; ".join(filter(None, (_pair_misfit(pair, here.get(pair.name)) for pair in given)))


def _pair_misfit(given: PairOutline, taken: PairOutline | None) -> str:
    if taken is None:
        return f"knows {given.name}, which the labeling config lacks"
    channels = {channel.strip().lower() for channel in taken.channels}
    labels = None if taken.labels is None else set(taken.labels)
    lacking: dict[str, Sequence[str]] = {
        "channel": [name for name in given.channels if name.strip().lower() not in channels],
        "label": [name for name in given.labels or () if labels is not None and name not in labels],
    }
    sentences = [
        f"knows the {what}{'s' if len(names) > 1 else ''} {', '.join(names)}, which {taken.name} lacks"
        for what, names in lacking.items()
        if names
    ]
    if given.multiple and not taken.multiple:
        sentences.append(f'gives a region several labels, and {taken.name} has no choice="multiple"')
    return "; ".join(sentences)
