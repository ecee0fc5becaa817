"""One line a log entry, to standard error; never bodies, headers or tokens."""

import logging
import logging.config

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
