"""Learns from the regions people draw on time series in Label Studio, and draws them on the rest."""

__version__ = "0.1.0"

INSTALL = (
    "run `make install`, or `pip install -r requirements.txt` and then "
    "`pip install --no-deps -r requirements-base.txt`."
)
