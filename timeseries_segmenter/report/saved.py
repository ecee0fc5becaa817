"""The report that was saved with a model, as a page."""

from pathlib import Path

from pydantic import ValidationError

from timeseries_segmenter.errors import ReportError
from timeseries_segmenter.report.content import Report
from timeseries_segmenter.report.page import render
from timeseries_segmenter.storage.model_file import read_metadata, read_report


def saved_report(path: Path, label_studio_url: str | None = None, dashboard: str | None = None) -> str:
    """The page of a model file's report; see `render`.

    Raises ModelFileError where the file can't be read, ReportError where it holds no report.
    """
    metadata, text = read_metadata(path), read_report(path)
    version = str(metadata.get("version", path.stem))
    if text is None:
        raise ReportError(f"{version} was made without a report; train once more, and there is one")
    try:
        report = Report.model_validate_json(text)
    except ValidationError as error:
        raise ReportError(
            f"{version} has a report of another version of this service; train once more, and there is one "
            f"that can be shown ({error.error_count()} parts differ)"
        ) from error
    return render(
        report,
        version,
        label_studio_url=label_studio_url,
        restored=metadata.get("restored"),
        dashboard=dashboard,
    )
