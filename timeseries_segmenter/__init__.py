"""Learns from the regions people draw on time series in Label Studio, and draws them on the rest."""

__version__ = "0.1.0"
