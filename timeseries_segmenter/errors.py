"""Everything this package raises on purpose. Each message names what was wrong and what to do."""


class SegmenterError(Exception):
    """Base of every error this package raises on purpose.

    `passing`: it may end by itself, so that trying again later is worthwhile.
    """

    passing = False


class SettingsError(SegmenterError):
    """An environment variable holds a value that can't be used."""


class LabelConfigError(SegmenterError):
    """The labeling config has no `TimeSeriesLabels` that can be learned for a `TimeSeries`."""


class TimeFormatError(SegmenterError):
    """A time doesn't match the `timeFormat`, or the format has an unknown directive."""


class SeriesError(SegmenterError):
    """A task's series can't be read: a missing column, a text cell, decreasing time."""


class RegionError(SeriesError):
    """Regions of an annotation have no place in their series, or labels or tags that are not known."""


class DownloadError(SegmenterError):
    """A task's series can't be fetched, or may not be."""


class PassingDownloadError(DownloadError):
    """A task's series can't be fetched now: its host does not answer, is too slow, or is not asked again."""

    passing = True


class OutOfTimeError(PassingDownloadError):
    """A task's series was not fetched, because the request has no time left for it."""


class LabelStudioError(SegmenterError):
    """Label Studio refused, or did not answer, a request that a training needs."""


class QueueError(SegmenterError):
    """Trainings can't be queued or handed to workers: MODEL_DIR can't be written, or Redis not reached."""


class StateError(QueueError):
    """The state file of a project's training runs can't be used: of a newer release, or not readable."""


class TrainingError(SegmenterError):
    """There is nothing to learn from: no labelled task, or no region in any."""


class ExportError(SegmenterError):
    """A file on the command line can't be read, written, or is not what it should be."""


class ModelFileError(SegmenterError):
    """A model file can't be loaded, now at least: no memory, no file descriptor, no permission."""


class DamagedModelError(ModelFileError):
    """The bytes of a model file are not those that were written: it was cut short, or changed."""


class ForeignModelError(ModelFileError):
    """A model file is whole, but not for this release: another format, or weights of another network."""


class ReportError(SegmenterError):
    """A model has no training report that can be shown."""


class VersionError(SegmenterError):
    """A project has no such version of its model to go back to."""
