"""How gunicorn serves `_wsgi:app`; PORT, WORKERS and THREADS are settings of the service."""

import os
import shutil
import sys
import tempfile

from timeseries_segmenter import INSTALL
from timeseries_segmenter.errors import SettingsError
from timeseries_segmenter.service.logs import logging_config
from timeseries_segmenter.settings import read_settings

try:  # before any worker: gunicorn would start failing ones again for ever
    import label_studio_ml  # noqa: F401
except ModuleNotFoundError:
    sys.exit(f"The package label_studio_ml is missing: {INSTALL}")
try:
    settings = read_settings()
except SettingsError as error:
    sys.exit(str(error))

bind = f"0.0.0.0:{settings.port}"
worker_class = "gthread"
workers = settings.workers
threads = settings.threads
control_socket_disable = True  # it would lie in the home folder, one for all services of a user
logconfig_dict = logging_config(settings)
timeout = 120  # seconds; Label Studio itself gives up on predictions after 100
graceful_timeout = 30  # seconds for requests to be answered after SIGTERM

METRICS = "PROMETHEUS_MULTIPROC_DIR"  # Prometheus' client looks for it when it is imported


def on_starting(server):
    """Give web processes a folder to leave their counts in, for whichever is asked for all."""
    if METRICS not in os.environ:
        os.environ[METRICS] = server.metrics = tempfile.mkdtemp(prefix="timeseries-segmenter-metrics-")


def child_exit(server, worker):  # noqa: ARG001
    """Take what a web process held at its end, such as models in memory, out of the metrics."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    """Leave nothing behind."""
    shutil.rmtree(getattr(server, "metrics", ""), ignore_errors=True)
