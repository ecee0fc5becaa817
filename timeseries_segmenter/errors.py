"""Everything this package raises on purpose. Each message says what was wrong and what to do."""


class SegmenterError(Exception):
    """Base of every error this package raises on purpose.

    `passing`: the reason may go away by itself, so try again later.
    """

    passing = False


class SettingsError(SegmenterError):
    """An environment variable holds a value that can't be used."""


class DeviceError(SettingsError):
    """Networks should be computed on a GPU, and PyTorch finds none."""


class LabelConfigError(SegmenterError):
    """The labeling config has no `TimeSeriesLabels` that can be learned for a `TimeSeries`."""


class TimeFormatError(SegmenterError):
    """A time doesn't match the `timeFormat`, or the format has an unknown directive."""


class SeriesError(SegmenterError):
    """A task's series can't be read: a missing column, a text cell, decreasing time."""


class RegionError(SeriesError):
    """Regions of an annotation have no place in their series, or unknown labels or tags."""


class DownloadError(SegmenterError):
    """A task's series can't be fetched, or may not be."""


class PassingDownloadError(DownloadError):
    """A task's series can't be fetched now: its host does not answer, is too slow, or is not asked again."""

    passing = True


class OutOfTimeError(PassingDownloadError):
    """A task's series was not fetched, because the request has no time left for it."""


class LabelStudioError(SegmenterError):
    """Label Studio refused, or did not answer, a request that a training run needs.

    `status` is that of its answer, if it refused.
    """

    status: int | None = None


class QueueError(SegmenterError):
    """Jobs can't be queued, or workers not woken: MODEL_DIR can't be written, or Redis not reached."""


class StateError(QueueError):
    """The state file of a project's jobs can't be used: it is from a newer release, or not readable."""


class TrainingError(SegmenterError):
    """There is nothing to learn from: no annotated task, or no region in any."""


class ExportError(SegmenterError):
    """A file on the command line can't be read or written, or is not what it should be."""


class ModelFileError(SegmenterError):
    """A model file can't be loaded, at least now: no memory, no file descriptor, no permission."""


class DamagedModelError(ModelFileError):
    """The bytes of a model file are not those that were written: it was cut short or changed."""


class ForeignModelError(ModelFileError):
    """A model file is undamaged, but not for this release: another format, or another network."""


class ReportError(SegmenterError):
    """A model has no training report that can be shown."""


class VersionError(SegmenterError):
    """A project has no such version of its model to roll back to."""


class StartError(SegmenterError):
    """A project can't start from another one's model."""
