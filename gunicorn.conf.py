"""How gunicorn serves `_wsgi:app`; PORT, WORKERS and THREADS are settings of the service."""

import atexit
import os
import shutil
import sys
import tempfile

from timeseries_segmenter import INSTALL
from timeseries_segmenter.errors import SettingsError
from timeseries_segmenter.logs import log_missing_password, logging_config
from timeseries_segmenter.settings import read_settings

try:  # before any worker: gunicorn would start failing ones again for ever
    import label_studio_ml  # noqa: F401
except ModuleNotFoundError:
    sys.exit(f"The package label_studio_ml is missing: {INSTALL}")
try:
    settings = read_settings()
    if settings.device == "cuda":
        from timeseries_segmenter.learning.device import check_device

        check_device(settings.device)
except SettingsError as error:
    sys.exit(str(error))

bind = f"0.0.0.0:{settings.port}"
worker_class = "timeseries_segmenter.web.worker.WebWorker"
workers = settings.workers
threads = settings.threads
worker_connections = 4000  # in each web process; the oldest that ask nothing give way to new ones
control_socket_disable = True  # it would lie in the home folder, one for all services of a user
logconfig_dict = logging_config(settings)
timeout = 120  # seconds; Label Studio itself gives up on predictions after 100
graceful_timeout = 30  # seconds for requests to be answered after SIGTERM

METRICS = "PROMETHEUS_MULTIPROC_DIR"  # Prometheus' client looks for it when it is imported


def make_metrics_folder():
    """Give web processes a folder to leave their counts in, for whichever is asked for all.

    As early as this, since `--preload` makes the app before any hook is called.
    """
    folder, owner = tempfile.mkdtemp(prefix="timeseries-segmenter-metrics-"), os.getpid()
    os.environ[METRICS] = folder

    def remove():
        if os.getpid() == owner:  # web processes are forks of it, and leave what the others count
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


if METRICS not in os.environ:
    make_metrics_folder()


def on_starting(server):  # noqa: ARG001
    """Say once, and not in each web process, that there is no password."""
    log_missing_password(settings)


def child_exit(server, worker):  # noqa: ARG001
    """Take what a web process held at its end, such as models in memory, out of the metrics."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
