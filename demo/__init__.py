"""Real Label Studio, real series, the whole loop: `make demo`."""
