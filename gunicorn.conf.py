"""How gunicorn serves `_wsgi:app`; PORT, WORKERS and THREADS are settings of the service."""

import sys

from timeseries_segmenter import INSTALL
from timeseries_segmenter.errors import SettingsError
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
timeout = 120  # seconds; Label Studio itself gives up on predictions after 100
