import json
from pathlib import Path

import pytest

from timeseries_segmenter.errors import LabelConfigError, SeriesError
from timeseries_segmenter.labeling.config import LabelConfig, parse_label_config

REQUESTS = Path(__file__).parents[1] / "data" / "label_studio" / "requests"

LABELS = (
    '<TimeSeriesLabels name="label" toName="ts"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>'
)
CHANNEL = '<Channel column="value"/>'


def view(*tags: str) -> str:
    return f"<View>{''.join(tags)}</View>"


def series(attributes: str = 'value="$csv_url"', channels: str = CHANNEL, name: str = "ts") -> str:
    return f'<TimeSeries name="{name}" {attributes}>{channels}</TimeSeries>'


def with_value(value: str, value_type: str = "url") -> LabelConfig:
    return parse_label_config(view(LABELS, series(f'value="{value}" valueType="{value_type}"')))


def test_reads_the_config_of_a_real_setup_request():
    schema = json.loads((REQUESTS / "setup_request_index_time.json").read_text())["body"]["schema"]
    assert parse_label_config(schema) == LabelConfig(
        "label", "ts", "$csv_url", "url", ",", None, None, ("value",), ("Run", "Walk"), pairs=1
    )


def test_reads_the_config_of_every_real_predict_request():
    for path in REQUESTS.glob("predict_*.json"):
        config = parse_label_config(json.loads(path.read_text())["body"]["label_config"])
        assert (config.from_name, config.to_name, config.labels) == ("label", "ts", ("Run", "Walk"))


def test_reads_time_column_and_format():
    config = parse_label_config(
        view(LABELS, series('value="$csv_url" timeColumn="time" timeFormat="%Y-%m-%d"'))
    )
    assert (config.time_column, config.time_format) == ("time", "%Y-%m-%d")


def test_a_format_without_a_time_column_means_nothing():
    config = parse_label_config(view(LABELS, series('value="$csv_url" timeFormat="%Y-%m-%d"')))
    assert (config.time_column, config.time_format) == (None, None)


def test_reads_tags_and_attributes_in_any_case_in_nested_views():
    config = parse_label_config(
        "<View><View><timeserieslabels NAME='label' toname='ts'><View><label VALUE='Run'/></View>"
        "</timeserieslabels></View><View><TIMESERIES Name='ts' VALUE='$x' VALUETYPE='JSON' TimeColumn='t'>"
        "<MultiChannel><Channel Column='a'/></MultiChannel><CHANNEL COLUMN='1'/></TIMESERIES></View></View>"
    )
    assert config == LabelConfig("label", "ts", "$x", "json", ",", "t", None, ("a", "1"), ("Run",))


def test_labels_are_aliases_where_there_are_and_each_stands_once():
    config = parse_label_config(
        view(
            '<TimeSeriesLabels name="label" toName="ts"><Label value="Run" alias="r"/><Label value="Walk"/>'
            '<Label value="Walk"/><Label/></TimeSeriesLabels>',
            series(),
        )
    )
    assert config.labels == ("r", "Walk")


def test_a_channel_that_stands_twice_counts_once():
    channels = '<Channel column="Value"/><Channel column="b"/><Channel column="value"/>'
    assert parse_label_config(view(LABELS, series(channels=channels))).channels == ("Value", "b")


@pytest.mark.parametrize(
    ("written", "separator"),
    [
        *(("tab", "\t"), (r"\t", "\t"), ("space", " "), ("comma", ","), ("dot", "."), ("auto", "auto")),
        *((";", ";"), ("", ","), ("||", "|"), (" ", " ")),
    ],
)
def test_names_of_separators_are_understood(written, separator):
    config = parse_label_config(view(LABELS, series(f'value="$csv_url" sep="{written}"')))
    assert config.separator == separator


def test_takes_the_first_usable_pair_and_counts_them():
    other = '<TimeSeriesLabels name="other" toName="b"><Label value="X"/></TimeSeriesLabels>'
    empty = '<TimeSeriesLabels name="empty" toName="ts"></TimeSeriesLabels>'
    config = parse_label_config(view(empty, other, LABELS, series(), series(name="b")))
    assert (config.from_name, config.to_name, config.pairs) == ("other", "b", 2)


def test_takes_the_first_time_series_of_several_names():
    labels = LABELS.replace('toName="ts"', 'toName="text, ts"')
    assert parse_label_config(view(labels, series(), '<Text name="text" value="$t"/>')).to_name == "ts"


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "is empty"),
        ("<View>", "not usable XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>', "not usable XML"),
        (view(series()), "no TimeSeriesLabels"),
        (view(LABELS), 'toName="ts", which is no TimeSeries; the config\'s TimeSeries names: none'),
        (view(LABELS, series(name="wave")), 'TimeSeries names: "wave"'),
        (view('<TimeSeriesLabels name="label" toName="ts"/>', series()), '"label" has no Label'),
        (view(LABELS, series(channels="")), '"ts" has no Channel'),
        (view(LABELS, series("")), '"ts" has no value'),
        (view(LABELS, series('value="$x" valueType="csv"')), 'valueType="csv"'),
        (view(LABELS, series('value="$x" sep="&#34;"')), "sep="),
        (view(LABELS, series('value="$x" timeColumn="t" timeFormat="%Y-%k"')), 'unknown directive "%k"'),
    ],
)
def test_says_what_is_missing(xml, message):
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
def test_finds_the_value_in_the_data(value, data, found):
    assert with_value(value).find_value(data) == found


def test_without_a_value_the_whole_task_is_the_json_series():
    data = {"time": [0, 1], "value": [1, 2]}
    assert with_value("", "json").find_value(data) is data


@pytest.mark.parametrize("data", [{"other": "a.csv"}, {"csv_url": None, "other": 1}])
def test_a_missing_value_names_the_key_and_those_there_are(data):
    with pytest.raises(SeriesError) as raised:
        with_value("$csv_url").find_value(data)
    assert '"csv_url"' in str(raised.value)
    assert '"other"' in str(raised.value)
