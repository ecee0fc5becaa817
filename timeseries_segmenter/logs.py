"""One line a log entry, to standard error, as text or JSON; never bodies, headers or tokens."""

import logging
import logging.config
from typing import Any

from timeseries_segmenter.settings import Settings

logger = logging.getLogger(__name__)

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# these log every connection, with query strings that may hold signatures, or every look at the queue
QUIET = ("urllib3", "httpx", "httpcore", "filelock", "rq.worker", "rq.job")


class OneLine(logging.Formatter):
    """Keeps what others write into a path or a name from looking like an entry of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  as in logging
        """The entry without its traceback."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def logging_config(settings: Settings) -> dict[str, Any]:
    """How `logging.config.dictConfig` logs to standard error, LOG_LEVEL and LOG_FORMAT obeyed.

    A JSON line holds `asctime`, `levelname`, `name`, `message`, and what the entry is about:
    `project`, `task`, `version`, `seconds`, and so on.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": OneLine, "fmt": FORMAT},
            "json": {"()": "pythonjsonlogger.json.JsonFormatter", "fmt": FORMAT},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": settings.log_format}},
        "root": {"level": settings.log_level, "handlers": ["console"]},
        "loggers": {name: {"level": "WARNING"} for name in QUIET}
        | {"waitress.queue": {"level": "ERROR"}}  # a line a request, if there are more than threads
        | {"gunicorn.error": {"level": settings.log_level, "handlers": [], "propagate": True}},
    }


def configure_logging(settings: Settings, *filters: logging.Filter) -> None:
    """Log to standard error, LOG_LEVEL and LOG_FORMAT obeyed, and say what is odd about the settings.

    Every entry passes the `filters`, which may add to it what it is about.
    """
    logging.config.dictConfig(logging_config(settings))
    for handler in logging.getLogger().handlers:
        for each in filters:
            handler.addFilter(each)
    for remark in settings.remarks:
        logger.warning("%s", remark)


def log_missing_password(settings: Settings) -> None:
    """Warn that everybody may ask, if that is so."""
    if not settings.basic_auth_user and not settings.webhook_secret.get_secret_value():
        opened = [name for name in ("data_allowed_hosts", "local_files_dir") if getattr(settings, name)]
        logger.warning(
            "no password is set: whoever reaches this service can read predictions%s and have it train; set "
            "BASIC_AUTH_USER and BASIC_AUTH_PASS, and give the webhook a header (docs/how-to/securing.md)",
            "".join(f", series of {name.upper()}" for name in opened),
        )
