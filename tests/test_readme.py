import re
from pathlib import Path

from timeseries_segmenter.settings import Settings

README = Path("README.md").read_text()


def test_the_readme_tells_every_setting_with_its_default_and_description() -> None:
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*) \|$", README, re.MULTILINE))
    settings = Settings()
    for name, field in Settings.model_fields.items():
        default = settings.model_dump(mode="json")[name]
        shown = (
            ""
            if default in (None, "")
            else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        )
        told_default, told_description = rows.pop(name.upper()).split("|")
        assert told_description.strip() == field.description, name
        assert told_default.strip().removesuffix(".0`") == shown.removesuffix(".0`"), name
    assert not rows
