"""`python -m timeseries_segmenter`: the command line."""

import sys

from timeseries_segmenter.cli import main

sys.exit(main(prog="python -m timeseries_segmenter"))
