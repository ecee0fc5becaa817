"""The web service: `gunicorn _wsgi:app`, or `python _wsgi.py` to try it."""

import argparse
import logging
import sys
from typing import Any

from model import TimeSeriesSegmenter  # isort: skip  first: it says what is missing, if something is
import torch
from flask import Flask

from timeseries_segmenter.errors import SettingsError
from timeseries_segmenter.learning.device import check_device
from timeseries_segmenter.logs import configure_logging, log_missing_password
from timeseries_segmenter.settings import Settings, read_settings
from timeseries_segmenter.storage.files import folder_remarks
from timeseries_segmenter.trainings.places import remark_on_places
from timeseries_segmenter.web.app import OfRequest, create_app
from timeseries_segmenter.web.backend import EXTENSION, Backend

logger = logging.getLogger(__name__)


def init_app(
    model_class: type[TimeSeriesSegmenter] = TimeSeriesSegmenter, settings: Settings | None = None
) -> Flask:
    """label-studio-ml's Flask app, serving `model_class` with `settings`, by default the environment's.

    Raises SettingsError.
    """
    settings = settings or read_settings()
    check_device(settings.device)
    return create_app(model_class, settings)


def serve(settings: Settings) -> Flask:
    """The app of a running service: logs, and takes up the training runs that were interrupted."""
    configure_logging(settings, OfRequest())
    torch.set_num_threads(1)  # requests run side by side already
    app = init_app(settings=settings)
    backend: Backend = app.extensions[EXTENSION]
    _warn(settings)
    backend.remove_unfinished()
    backend.policy.resume()
    logger.info("serves models in %s", settings.model_dir)
    return app


def _warn(settings: Settings) -> None:
    """Say what a person should put right before the service is used."""
    if not settings.label_studio_api_key.get_secret_value():
        logger.warning("LABEL_STUDIO_API_KEY is not set: nothing can be trained; see the README")
    if remark := remark_on_places(settings):
        logger.warning("%s", remark)
    for remark in folder_remarks(settings.model_dir):
        logger.warning("%s", remark)


def __getattr__(name: str) -> Any:
    """Make `app` when a server asks for it: importing this module alone starts nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    try:
        app = serve(read_settings())
    except SettingsError as error:
        sys.exit(str(error))
    globals()["app"] = app
    return app


def command_line() -> argparse.ArgumentParser:
    """The options of `python _wsgi.py`."""
    parser = argparse.ArgumentParser(
        prog="python _wsgi.py", description="Serve for development; gunicorn serves people."
    )
    parser.add_argument("-p", "--port", type=int, help="port to listen on (default: PORT, 9090)")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("-d", "--debug", action="store_true", help="Flask's debugger; never on a network")
    parser.add_argument(
        "--log-level",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        type=str.upper,
        help="how much to log (default: LOG_LEVEL, INFO)",
    )
    parser.add_argument("--model-dir", metavar="PATH", help="folder for models (default: MODEL_DIR, models)")
    parser.add_argument("--basic-auth-user", metavar="NAME", help="whom to let in (default: BASIC_AUTH_USER)")
    parser.add_argument(
        "--basic-auth-pass",
        metavar="PASSWORD",
        help="with which password (default: BASIC_AUTH_PASS, which others on this machine can't see)",
    )
    parser.add_argument(
        "--kwargs",
        "--with",
        nargs="+",
        default=[],
        metavar="PARAMETER",
        help="not used: label-studio-ml's command line has it",
    )
    parser.add_argument("--check", action="store_true", help="make the app and exit")
    return parser


def main() -> None:
    """Serve for development; `--check` only checks whether the service would start."""
    parser = command_line()
    arguments = parser.parse_args()
    options = ("port", "log_level", "model_dir", "basic_auth_user", "basic_auth_pass")
    given = {name: value for name in options if (value := getattr(arguments, name)) is not None}
    try:
        settings = read_settings(**given)
        check_device(settings.device)
    except SettingsError as error:
        parser.error(str(error))
    if arguments.kwargs:
        ignored = " ".join(arguments.kwargs)
        sys.stderr.write(f"--kwargs {ignored} is not used: settings are environment variables\n")
    if arguments.check:
        configure_logging(settings)
        init_app(settings=settings)
        _warn(settings)
        print(f"ready to serve on port {settings.port}, models in {settings.model_dir}")
        return
    app = serve(settings)
    log_missing_password(settings)
    app.run(host=arguments.host, port=settings.port, debug=arguments.debug, threaded=True)


if __name__ == "__main__":
    main()
