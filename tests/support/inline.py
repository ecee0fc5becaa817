"""A project whose tasks hold the first recorded series themselves, and the regions that people see in it."""

from tests.support import recorded
from tests.support.label_studio_server import LabelStudioServer
from timeseries_segmenter.settings import Settings

CONFIG = recorded.body("predict_json_inline")["label_config"]
TRUTH = recorded.regions(*recorded.DRAWN)
INLINE = {"ts": {"time": list(range(recorded.ROWS)), "value": recorded.values()}}


def settings_for(settings: Settings, studio: LabelStudioServer, **changes: object) -> Settings:
    """Of a service that asks the stand-in, where project 3 has this labeling config and no tasks yet."""
    studio.configs[3] = CONFIG
    return settings.model_copy(update={"label_studio_host": studio.url} | changes)
