from collections.abc import Sequence

import pytest

from tests.support import recorded
from tests.support.need import need
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.project.card import Card, PairCard
from timeseries_segmenter.project.outline import given_by, shortened_outline, taken_by
from timeseries_segmenter.project.outline import misfit as misfit_of

CONFIG = recorded.body("predict_json_inline")["label_config"]
CHANNEL = '<Channel column="value"/>'


def card(config: str = CONFIG, name: str = "label:ts", unlearned: Sequence[str] = ()) -> Card:
    return Card(version="p47-v3-x", label_config=config, pairs={name: PairCard(unlearned=list(unlearned))})


def misfit(lender: Card, config: LabelConfig) -> str:
    return misfit_of(given_by(lender), taken_by(config))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ('"label"', '"other"'),
        ('"value"', '"VALUE"'),
        (CHANNEL, f'{CHANNEL}<Channel column="more"/>'),
        ("</TimeSeriesLabels>", '<Label value="Sit"/></TimeSeriesLabels>'),
        ('<Label value="Run"/>', '<Label value="Jog" predicted_values="Run"/>'),
        ('valueType="json"', 'valueType="url"'),
        ('<Label value="Run"/><Label value="Walk"/>', '<Label value="Walk"/><Label value="Run"/>'),
    ],
)
def test_a_config_with_the_same_channels_and_labels_suits_and_may_have_more(old: str, new: str) -> None:
    assert misfit(card(), parse_label_config(CONFIG.replace(old, new))) == ""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (CHANNEL, '<Channel column="other"/>', "knows the channel value, which label:ts lacks"),
        ('value="Run"', 'value="Jog"', "knows the label Run, which label:ts lacks"),
        ('<Label value="Run"/><Label value="Walk"/>', '<Label value="Sit"/>', "labels Run, Walk"),
        ('<Label value="Run"/>', '<Label value="Run" model_background="true"/>', "knows the label Run"),
    ],
)
def test_what_differs_is_named(old: str, new: str, reason: str) -> None:
    assert reason in misfit(card(), parse_label_config(CONFIG.replace(old, new)))


def test_a_label_that_was_never_learned_does_not_count() -> None:
    config = parse_label_config(CONFIG.replace('<Label value="Walk"/>', ""))
    assert misfit(card(), config)
    assert misfit(card(unlearned=["Walk"]), config) == ""


def test_labels_that_tasks_bring_are_not_missed() -> None:
    config = CONFIG.replace('toName="ts"><Label value="Run"/>', 'toName="ts" value="$labels">')
    assert misfit(card(), parse_label_config(config)) == ""


def test_several_labels_on_a_region_need_a_choice() -> None:
    several = CONFIG.replace('toName="ts">', 'toName="ts" choice="multiple">')
    assert 'choice="multiple"' in misfit(card(several), parse_label_config(CONFIG))
    assert misfit(card(several), parse_label_config(several)) == ""
    assert misfit(card(), parse_label_config(several)) == ""


def test_a_pair_that_is_missing_among_several_is_named() -> None:
    both = CONFIG.replace(
        "</View>",
        '<TimeSeriesLabels name="tag" toName="ts"><Label value="Sit"/></TimeSeriesLabels></View>',
    )
    model = card(both)
    assert misfit(model, parse_label_config(both)) == ""
    renamed = both.replace('"label"', '"other"')
    assert misfit(model, parse_label_config(renamed)) == "knows label:ts, which the labeling config lacks"


def test_a_model_without_a_labeling_config_suits_none() -> None:
    assert "labeling config" in misfit(card(""), parse_label_config(CONFIG))


def test_an_outline_that_is_too_long_for_lists_is_left_out() -> None:
    known = given_by(card())
    assert shortened_outline(known) == known
    many = "".join(f'<Label value="{number:0110}"/>' for number in range(990))
    long = taken_by(parse_label_config(CONFIG.replace("</TimeSeriesLabels>", f"{many}</TimeSeriesLabels>")))
    assert len(need(long[0].labels)) > 990
    assert shortened_outline(long) == ()
