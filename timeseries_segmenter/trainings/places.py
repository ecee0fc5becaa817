"""How many projects one machine trains side by side."""

from timeseries_segmenter.settings import Settings


def count_places(settings: Settings) -> int:
    """TRAINING_PROCESSES, but no more than the cores that this process may use."""
    if settings.training_processes == 1:
        return 1
    from joblib import cpu_count  # here: it is slow to import; it knows the quota of a container

    return int(min(settings.training_processes, cpu_count()))


def remark_on_places(settings: Settings) -> str:
    """What to say if fewer projects are trained side by side than is set; else empty."""
    wanted, places = settings.training_processes, count_places(settings)
    if places == wanted:
        return ""
    return (
        f"TRAINING_PROCESSES is {wanted}, and {places} cores may be used: so many projects are trained side "
        "by side"
    )
