"""Downloaders as tests need them: they give up soon."""

from timeseries_segmenter.settings import Settings
from timeseries_segmenter.sources.downloads import Downloader
from timeseries_segmenter.sources.label_studio import LabelStudioClient
from timeseries_segmenter.sources.retries import RetryPolicy

AT_ONCE = RetryPolicy(tries=3, seconds=5, first_wait=0, longest_wait=0)
ONCE = RetryPolicy(tries=1, seconds=5, first_wait=0, longest_wait=0)


def make_downloader(settings: Settings, policy: RetryPolicy = ONCE, **changes: object) -> Downloader:
    """A downloader with some settings changed; its client of Label Studio has the same policy."""
    settings = settings.model_copy(update=changes)
    return Downloader(settings, LabelStudioClient(settings, policy), policy)
