import re
from pathlib import Path

from timeseries_segmenter.settings import Settings

README = Path("README.md").read_text()


def test_the_readme_tells_every_setting_with_its_default_and_description() -> None:
    told = {
        name: (default.strip(" `"), description.strip())
        for name, default, description in re.findall(
            r"^\| `([A-Z0-9_]+)` \|([^|]*)\|([^|]*)\|$", README, re.MULTILINE
        )
    }
    defaults = Settings().model_dump(mode="json")
    assert told == {
        name.upper(): (_shown(defaults[name]), field.description)
        for name, field in Settings.model_fields.items()
    }


def _shown(default: object) -> str:
    if default is None or default == []:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default).removesuffix(".0")
