"""How long a job that failed waits for its next try."""

from collections.abc import Sequence

MINUTE, HOUR = 60, 3600
# seconds before each further try; the last one repeats
AFTER_KILL = (2, 10, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)
AFTER_FAILURE = (15, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)
AFTER_TIMEOUT = (15 * MINUTE, HOUR, 4 * HOUR, 8 * HOUR)  # each try takes as long as a training run may
AFTER_EVENT = MINUTE  # seconds after a failed try within which a new event has it tried again


def pause_after(tries: int, pauses: Sequence[float]) -> float:
    """Seconds before the next try, after so many failed ones."""
    return pauses[min(max(tries, 1), len(pauses)) - 1]
