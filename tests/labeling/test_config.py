import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from timeseries_segmenter.errors import LabelConfigError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config
from timeseries_segmenter.labeling.label_pair import LabelPair
from timeseries_segmenter.labeling.pair_settings import PairSettings
from timeseries_segmenter.labeling.tag import READ, TIME_SERIES, find

REQUESTS = Path(__file__).parents[1] / "data" / "label_studio" / "requests"

LABELS = (
    '<TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>'
)
CHANNEL = '<Channel column="value"/>'


def view(*tags: str) -> str:
    return f"<View>{''.join(tags)}</View>"


def series(attributes: str = 'value="$csv_url"', channels: str = CHANNEL, name: str = "ts") -> str:
    return f'<TimeSeries name="{name}" {attributes}>{channels}</TimeSeries>'


def only_pair(xml: str) -> LabelPair:
    (pair,) = parse_label_config(xml).pairs
    return pair


def with_value(value: str, value_type: str = "url") -> LabelPair:
    return only_pair(view(LABELS, series(f'value="{value}" valueType="{value_type}"')))


def test_reads_the_config_of_a_real_setup_request() -> None:
    schema = json.loads((REQUESTS / "setup_request_index_time.json").read_text())["body"]["schema"]
    assert only_pair(schema) == LabelPair(
        "label", "ts", "$csv_url", "url", ",", None, None, ("value",), ("Run", "Walk")
    )


def test_reads_the_config_of_every_real_predict_request() -> None:
    for path in REQUESTS.glob("predict_*.json"):
        pair = only_pair(json.loads(path.read_text())["body"]["label_config"])
        assert (pair.from_name, pair.to_name, pair.labels) == ("label", "ts", ("Run", "Walk"))


def test_reads_time_column_and_format() -> None:
    pair = only_pair(view(LABELS, series('value="$csv_url" timeColumn="time" timeFormat="%Y-%m-%d"')))
    assert (pair.time_column, pair.time_format) == ("time", "%Y-%m-%d")


def test_a_format_without_a_time_column_means_nothing() -> None:
    pair = only_pair(view(LABELS, series('value="$csv_url" timeFormat="%Y-%m-%d"')))
    assert (pair.time_column, pair.time_format) == (None, None)


def test_a_format_without_a_time_column_is_kept_for_regions_if_it_is_one() -> None:
    assert only_pair(view(LABELS, series('value="$x" timeFormat="%Y-%m-%d"'))).row_format == "%Y-%m-%d"
    assert only_pair(view(LABELS, series('value="$x" timeFormat="%k"'))).row_format is None
    assert only_pair(view(LABELS, series('value="$x" timeColumn="t" timeFormat="%Y"'))).row_format is None


def test_each_pair_knows_all_tags_that_label_series() -> None:
    other = (
        '<TimeSeriesLabels name="other" toName="a, b" model_skip="true"><Label value="X"/></TimeSeriesLabels>'
    )
    pair = only_pair(view(LABELS, other, series()))
    assert pair.label_tags == (("label", "ts"), ("other", "a"), ("other", "b"))


def test_tags_that_can_not_be_learned_are_named_where_others_can() -> None:
    empty = '<TimeSeriesLabels name="empty" toName="ts"></TimeSeriesLabels>'
    lost = '<TimeSeriesLabels name="lost" toName="wave"><Label value="X"/></TimeSeriesLabels>'
    both = LABELS.replace('toName="ts"', 'toName="ts,bare"')
    config = parse_label_config(view(empty, lost, both, series(), series(name="bare", channels="")))
    assert [pair.name for pair in config.pairs] == ["label:ts"]
    assert [sentence.split(";")[0] for sentence in config.unusable] == [
        'TimeSeriesLabels "empty" has no Label with a value',
        'TimeSeriesLabels "lost" has toName="wave", which is not a TimeSeries',
        'TimeSeries "bare" has no Channel with a column',
    ]
    assert parse_label_config(view(LABELS, series())).unusable == ()


def test_tags_that_are_passed_over_beside_those_that_are_learned_are_named() -> None:
    walk = LABELS.replace("Run", "Walk")
    lost = series(channels='<Channel column="a"/><Channel name="b"/>')
    config = parse_label_config(view(LABELS, walk, lost, series(channels='<Channel column="c"/>')))
    (pair,) = config.pairs
    assert (pair.channels, "Run" in pair.labels) == (("a",), True)
    assert [sentence.split(";")[0] for sentence in config.unusable] == [
        'TimeSeries "ts" has a Channel without a column, which is not read',
        'TimeSeries "ts" is there twice, and only the first is read',
        'TimeSeriesLabels "label" is there twice, and only the first is read',
    ]


REPEATED = (
    '<Repeater on="$all" indexFlag="{{idx}}"><TimeSeriesLabels name="label_{{idx}}" toName="ts_{{idx}}">'
    '<Label value="Run"/></TimeSeriesLabels>' + series(name="ts_{{idx}}") + "</Repeater>"
)


def test_a_repeater_is_named_as_what_is_not_read() -> None:
    with pytest.raises(LabelConfigError, match="is in a Repeater, which is not read"):
        parse_label_config(view(REPEATED))
    config = parse_label_config(view(REPEATED, LABELS, series()))
    assert [pair.name for pair in config.pairs] == ["label:ts"]
    assert "Repeater" in config.unusable[0]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (
            view('<TimeSeriesLabel name="l" toName="ts"/>', series()),
            "It has TimeSeriesLabel: if that is meant",
        ),
        (
            view('<Labels name="l" toName="ts"><Label value="a"/></Labels>', series()),
            "It has Labels: if that",
        ),
        (
            view('<TimeSeriesLabels name="l"><Label value="a"/></TimeSeriesLabels>', series()),
            "has no toName; ",
        ),
        (view(LABELS.replace("Run", "R" * 1001), series()), "has 1001 characters, and at most 1000"),
        (
            view(LABELS, series(channels="".join(f'<Channel column="{n}"/>' for n in range(1001)))),
            "1001 channels",
        ),
        (
            view(LABELS, series('value="$x" timeFormat="' + "%Y" * 60 + '"')),
            "120 characters, and at most 100",
        ),
        (
            view(
                '<TimeSeriesLabels name="l" toName="ts">'
                + "".join(f'<Label value="{n}"/>' for n in range(1001))
                + "</TimeSeriesLabels>",
                series(),
            ),
            '"l" has 1001 labels, and at most 1000 are read',
        ),
        (
            view(series(), *(LABELS.replace('"label"', f'"l{number}"') for number in range(101))),
            "has 101 pairs of TimeSeriesLabels and TimeSeries, and at most 100",
        ),
        (
            view(LABELS, series()) + " " * 10 + "<!--" + "x" * 1_000_000 + "-->",
            "and at most 1000000 are read",
        ),
    ],
)
def test_what_is_missing_misspelt_or_too_much_is_named(xml: str, message: str) -> None:
    with pytest.raises(LabelConfigError, match=message):
        parse_label_config(xml)


def test_of_a_tasks_own_labels_no_more_are_taken_than_can_be_learned() -> None:
    pair = replace(only_pair(view(LABELS, series())), labels_value="$labels")
    many = [{"value": f"l{number}"} for number in range(2000)]
    assert len(pair.of_task({"labels": many}).labels) == 1000
    deep: dict[str, Any] = {"value": "deepest"}
    for number in range(5000):
        deep = {"value": f"d{number}", "children": [None, deep]}
    assert len(pair.of_task({"labels": [deep, "text"]}).labels) == 1000


def test_reads_tags_and_attributes_in_any_case_in_nested_views() -> None:
    pair = only_pair(
        "<View><View><timeserieslabels NAME='label' toname='ts'><View><label VALUE='Run'/></View>"
        "</timeserieslabels></View><View><TIMESERIES Name='ts' VALUE='$x' VALUETYPE='JSON' TimeColumn='t'>"
        "<MultiChannel><Channel Column='a'/></MultiChannel><CHANNEL COLUMN='1'/></TIMESERIES></View></View>"
    )
    assert pair == LabelPair("label", "ts", "$x", "json", ",", "t", None, ("a", "1"), ("Run",))


EVERYTHING = """<View>
  <TimeSeriesLabels name="label" toName="ts, other" value="$labels" choice="single">
    <Label value="Run" alias="run" predicted_values="running" model_background="false"/>
  </TimeSeriesLabels>
  <TimeSeries name="ts" value="$url" valueType="url" sep=";" timeColumn="time" timeFormat="%H:%M">
    <Channel column="x"/>
  </TimeSeries>
  <TimeSeries name="other" value="$other"><Channel column="x"/></TimeSeries>
</View>"""
OTHERWISE: dict[str, dict[str, str | None]] = {
    "TimeSeriesLabels": {"name": "l", "toName": "other", "value": "$more", "choice": "multiple"},
    "Label": {"value": None, "alias": "r", "predicted_values": "jog", "model_background": "true"},
    "TimeSeries": {
        **{"name": "t", "value": "$x", "valueType": "json", "sep": ",", "timeColumn": "t"},
        "timeFormat": "%M:%S",
    },
    "Channel": {"column": "y"},
}


@pytest.mark.parametrize(
    ("tag", "attribute"), [(kind.name, attribute) for kind in READ for attribute in kind.attributes]
)
def test_each_attribute_that_is_documented_is_read(tag: str, attribute: str) -> None:
    written = OTHERWISE[tag][attribute]
    if written is None:  # an alias stands for it: what is read of it is seen without
        config = EVERYTHING.replace('alias="run" ', "")
        changed = config.replace('value="Run"', 'value="Walk"')
    else:
        config = EVERYTHING
        changed = re.sub(rf'(<{tag} [^>]*?\b{attribute}=")[^"]*', rf"\g<1>{written}", config, count=1)
    assert parse_label_config(changed) != parse_label_config(config)


def test_an_attribute_that_its_tag_does_not_have_is_not_read() -> None:
    with pytest.raises(KeyError, match="alias"):
        next(find(fromstring(EVERYTHING), TIME_SERIES))["alias"]


def test_labels_are_aliases_where_there_are_and_each_stands_once() -> None:
    pair = only_pair(
        view(
            '<TimeSeriesLabels name="label" toName="ts"><Label value="Run" alias="r"/><Label value="Walk"/>'
            '<Label value="Walk"/><Label/></TimeSeriesLabels>',
            series(),
        )
    )
    assert pair.labels == ("r", "Walk")


def test_a_channel_that_stands_twice_counts_once() -> None:
    channels = '<Channel column="Value"/><Channel column="b"/><Channel column="value"/>'
    assert only_pair(view(LABELS, series(channels=channels))).channels == ("Value", "b")


@pytest.mark.parametrize(
    ("written", "separator"),
    [
        *(("tab", "\t"), (r"\t", "\t"), ("space", " "), ("comma", ","), ("dot", "."), ("auto", "auto")),
        *((";", ";"), ("", ","), ("||", "|"), (" ", " ")),
    ],
)
def test_names_of_separators_are_understood(written: str, separator: str) -> None:
    pair = only_pair(view(LABELS, series(f'value="$csv_url" sep="{written}"')))
    assert pair.separator == separator


def test_takes_all_usable_pairs() -> None:
    other = '<TimeSeriesLabels name="other" toName="b"><Label value="X"/></TimeSeriesLabels>'
    empty = '<TimeSeriesLabels name="empty" toName="ts"></TimeSeriesLabels>'
    config = parse_label_config(view(empty, other, LABELS, series(), series(name="b")))
    assert [pair.name for pair in config.pairs] == ["other:b", "label:ts"]


def test_takes_the_time_series_of_several_names() -> None:
    labels = LABELS.replace('toName="ts"', 'toName="text, ts"')
    assert only_pair(view(labels, series(), '<Text name="text" value="$t"/>')).to_name == "ts"


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "is empty"),
        ("<View>", "not usable XML"),
        ('<View a="x & y"/>', "a plain & is written &amp;"),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>',
            "not usable XML: it has a DOCTYPE, which is not read",
        ),
        (view(series()), "no TimeSeriesLabels"),
        (view(LABELS), 'toName="ts", which is not a TimeSeries; the config\'s TimeSeries names: none'),
        (view(LABELS, series(name="wave")), 'TimeSeries names: "wave"'),
        (view('<TimeSeriesLabels name="label" toName="ts"/>', series()), '"label" has no Label'),
        (view(LABELS, series(channels="")), '"ts" has no Channel'),
        (view(LABELS, series("")), '"ts" has no value'),
        (view(LABELS, series('value="$x" valueType="csv"')), 'valueType="csv"'),
        (view(LABELS, series('value="$x" sep="&#34;"')), "sep="),
        (view(LABELS, series('value="$x" timeColumn="t" timeFormat="%Y-%k"')), 'unknown directive "%k"'),
    ],
)
def test_says_what_is_missing(xml: str, message: str) -> None:
    with pytest.raises(LabelConfigError) as raised:
        parse_label_config(xml)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "data", "found"),
    [
        ("$csv_url", {"csv_url": "a.csv"}, "a.csv"),
        ("$a.b[1]", {"a": {"b": ["x", "y.csv"]}}, "y.csv"),
        ("$a.b", {"a.b": "dotted.csv", "a": {"b": "nested.csv"}}, "dotted.csv"),
        ("$my-key", {"my-key": "dash.csv"}, "dash.csv"),
        ("http://host/$a/$b.csv", {"a": "1", "b": {"csv": "2"}}, "http://host/1/2"),
        ("http://host/fixed.csv", {}, "http://host/fixed.csv"),
    ],
)
def test_finds_the_value_in_the_data(value: str, data: dict[str, Any], found: str) -> None:
    assert with_value(value).find_value(data) == found


def test_a_key_without_its_dollar_is_no_address() -> None:
    with pytest.raises(
        SeriesError, match=r'value="csv_url", which is itself an address; write value="\$csv_url"'
    ):
        with_value("csv_url").find_value({"csv_url": "a.csv"})
    assert with_value("csv_url").find_value({"csv": "a.csv"}) == "csv_url"


def test_without_a_value_the_whole_task_is_the_json_series() -> None:
    data = {"time": [0, 1], "value": [1, 2]}
    assert with_value("", "json").find_value(data) is data


@pytest.mark.parametrize("data", [{"other": "a.csv"}, {"csv_url": None, "other": 1}])
def test_a_missing_value_names_the_key_and_those_there_are(data: dict[str, Any]) -> None:
    with pytest.raises(SeriesError) as raised:
        with_value("$csv_url").find_value(data)
    assert '"csv_url"' in str(raised.value)
    assert '"other"' in str(raised.value)
    assert "Correct the key in the config" in str(raised.value)


def test_labels_of_two_time_series_are_a_pair_with_each() -> None:
    labels = LABELS.replace('toName="ts"', 'toName="ts,b,ts"')
    config = parse_label_config(view(labels, series(), series(name="b")))
    assert [(pair.from_name, pair.to_name) for pair in config.pairs] == [("label", "ts"), ("label", "b")]


def with_attributes(attributes: str, *more: str) -> LabelConfig:
    return parse_label_config(
        view(LABELS.replace('toName="ts"', f'toName="ts" {attributes}'), series(), *more)
    )


def test_reads_what_is_set_about_the_model() -> None:
    config = with_attributes(
        'model_score_threshold="0.4" MODEL_EPOCHS="20" model_sequence_size=" 80 " model_hidden_size="" '
        'model_skip="false" model_unlabeled="span"'
    )
    assert config.pairs[0].settings == PairSettings(
        score_threshold=0.4, epochs=20, sequence_size=80, unlabeled="span"
    )
    assert config.unknown_settings == ()


def test_settings_of_other_services_and_misspelt_ones_are_told() -> None:
    config = with_attributes('model_path="yolo.pt" model_epoch="20"')
    assert config.unknown_settings == ("model_path", "model_epoch")
    assert config.pairs[0].settings == PairSettings()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        *(("score_threshold", value) for value in ("1.5", "-0.1", "high", "nan")),
        *(("epochs", value) for value in ("0", "2.5", "many")),
        *(("sequence_size", value) for value in ("3", "10001")),
        *(("hidden_size", value) for value in ("0", "5000")),
        ("unlabeled", "nothing"),
        ("skip", "perhaps"),
    ],
)
def test_a_bad_setting_is_an_error_that_names_tag_attribute_and_value(attribute: str, value: str) -> None:
    with pytest.raises(LabelConfigError) as raised:
        with_attributes(f'model_{attribute}="{value}"')
    assert f'TimeSeriesLabels "label" has model_{attribute}="{value}": Input should be' in str(raised.value)


def test_a_start_names_a_project_and_the_whole_config_one() -> None:
    assert with_attributes("").start is None
    tag = '<TimeSeriesLabels name="other" toName="ts" model_start="project:{}">'
    other = tag + '<Label value="X"/></TimeSeriesLabels>'
    assert with_attributes("", other.format(47)).start == 47
    assert with_attributes('model_start=" project:47 "', other.format(47)).start == 47
    with pytest.raises(LabelConfigError, match='model_start="project:46" and "project:47"; name one'):
        with_attributes('model_start="project:46"', other.format(47))
    skipped = other.format(47).replace("toName", 'model_skip="true" toName')
    assert with_attributes('model_start="project:46"', skipped).start == 46


@pytest.mark.parametrize(
    "value", ["47", "project:", "project:0", "project:x", "project:-1", "p47-v3", "x" * 50]
)
def test_a_start_that_names_no_project_says_how_to_write_it(value: str) -> None:
    with pytest.raises(LabelConfigError) as raised:
        with_attributes(f'model_start="{value}"')
    assert f'has model_start="{value}": it should name a project by its number, as in project:47' in str(
        raised.value
    )


def test_skipped_labels_are_left_alone() -> None:
    other = '<TimeSeriesLabels name="other" toName="ts"><Label value="X"/></TimeSeriesLabels>'
    assert [pair.name for pair in with_attributes('model_skip="true"', other).pairs] == ["other:ts"]
    with pytest.raises(LabelConfigError, match='"label" has model_skip, and there is no other'):
        with_attributes('model_skip="true"')


@pytest.mark.parametrize(
    ("choice", "labels"), [("multiple", ("Run", "Walk")), ("single", ("Walk",)), ("", ("Walk",))]
)
def test_a_region_may_have_several_labels_where_the_choice_is_multiple(
    choice: str, labels: tuple[str, ...]
) -> None:
    (pair,) = with_attributes(f'choice="{choice}"').pairs
    assert pair.label_set(["Swim", "Walk", "Run", "Walk", None, 3]) == labels


def test_predicted_values_are_other_names_of_a_label() -> None:
    pair = only_pair(
        view(
            '<TimeSeriesLabels name="label" toName="ts"><Label value="Running" predicted_values="Run, jog,"/>'
            '<Label value="Walk" predicted_values="jog, Running"/></TimeSeriesLabels>',
            series(),
        )
    )
    assert [pair.label_set([name]) for name in ("Running", "Run", "jog", "Walk", "swim")] == [
        *(("Running",), ("Running",), ("Running",), ("Walk",), ())
    ]


DYNAMIC = '<TimeSeriesLabels name="label" toName="ts" value="$labels">{}</TimeSeriesLabels>'


def test_labels_come_from_the_task_too() -> None:
    pair = only_pair(view(DYNAMIC.format('<Label value="Run"/>'), series()))
    nested = {"value": "Sport", "children": [{"value": "Swim", "alias": "s"}, {"hint": "no name"}]}
    data = {"labels": [{"value": "Walk"}, nested, {"value": "Run"}, "text", None]}
    assert pair.of_task(data).labels == ("Run", "Walk", "Sport", "s")
    assert pair.of_task(data).label_set(["s"]) == ("s",)


@pytest.mark.parametrize("data", [{}, {"labels": None}, {"labels": "Run"}, {"labels": 3}, None, []])
def test_a_task_without_labels_has_those_of_the_config(data: Any) -> None:
    pair = only_pair(view(DYNAMIC.format(""), series()))
    assert pair.labels == ()
    assert pair.of_task(data) == pair


@pytest.mark.parametrize("value", ["true", " True "])
def test_a_label_may_mean_background(value: str) -> None:
    (pair,) = with_labels(f'<Label value="Run"/><Label value="Rest" model_background="{value}"/>').pairs
    assert pair.labels == ("Run", "Rest")  # a region may have it
    assert (pair.background, pair.predicted_labels) == (("Rest",), ("Run",))


def test_a_bad_mark_of_background_names_label_tag_and_value() -> None:
    with pytest.raises(LabelConfigError) as raised:
        with_labels('<Label value="Run"/><Label value="Rest" model_background="some"/>')
    said = 'Label "Rest" of TimeSeriesLabels "label" has model_background="some"; write "true" or "false"'
    assert said in str(raised.value)


def test_labels_that_all_mean_background_leave_nothing_to_predict() -> None:
    with pytest.raises(LabelConfigError, match="only labels with model_background"):
        with_labels('<Label value="Rest" model_background="true"/>')


def with_labels(labels: str) -> LabelConfig:
    tag = f'<TimeSeriesLabels name="label" toName="ts">{labels}</TimeSeriesLabels>'
    return parse_label_config(view(tag, series()))
