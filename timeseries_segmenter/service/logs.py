"""One line a log entry, to standard error; never bodies, headers or tokens."""

import logging
import logging.config

from timeseries_segmenter.labeling.config import LabelConfig

logger = logging.getLogger(__name__)

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STOCK_APP = "label_studio_ml.api"


class WithoutBodies(logging.Filter):
    """Drops the stock app's debug entries: they hold requests whole, tokens included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let entries above DEBUG pass."""
        return record.levelno > logging.DEBUG


def configure_logging(level: str) -> None:
    """Log to standard error from `level` on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": FORMAT}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": level, "handlers": ["console"]},
            # these log every connection, with query strings that may hold signatures
            "loggers": {name: {"level": "WARNING"} for name in ("urllib3", "httpx", "httpcore", "filelock")},
        }
    )


def hide_bodies() -> None:
    """Keep the stock app from logging bodies and headers, whatever the level."""
    logger = logging.getLogger(STOCK_APP)
    if not any(isinstance(known, WithoutBodies) for known in logger.filters):
        logger.addFilter(WithoutBodies())


def log_other_pairs(project: int, config: LabelConfig) -> None:
    """Tell which pair of tags is used where the labeling config has several."""
    if config.pairs > 1:
        logger.warning(
            "project %d: %d pairs of TimeSeriesLabels and TimeSeries; the first (%s for %s) is used",
            project,
            config.pairs,
            config.from_name,
            config.to_name,
        )
