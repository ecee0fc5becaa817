"""The dimensions of a network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What it takes to build the same network again; saved with the weights.

    `stride` is the number of samples that one timestep of the LSTM spans: 1, 2, 4, 8 or 16. `features` are
    the rolling features of a timestep, 0 for a network without any.
    """

    inputs: int
    classes: int
    hidden_size: int = 64
    stride: int = 4
    features: int = 0
