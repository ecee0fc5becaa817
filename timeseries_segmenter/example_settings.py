"""Names and values of settings that label-studio-ml's own example takes, and how this service reads them."""

from collections.abc import Mapping
from contextlib import suppress

# the names of each setting: this service's own first, and the first one set counts
NAMES = {
    "label_studio_host": ("LABEL_STUDIO_HOST", "LABEL_STUDIO_URL", "LABEL_STUDIO_HOSTNAME"),
    "label_studio_api_key": ("LABEL_STUDIO_API_KEY", "LABEL_STUDIO_ACCESS_TOKEN"),
    "basic_auth_user": ("BASIC_AUTH_USER", "ML_SERVER_BASIC_AUTH_USER"),
    "basic_auth_pass": ("BASIC_AUTH_PASS", "ML_SERVER_BASIC_AUTH_PASS"),
}
SEQUENCE_SIZES = (4, 10_000)
HIDDEN_SIZES = (1, 4096)
LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL", "NOTSET": "DEBUG"}
TRUE_HERE = ("1", "yes", "on", "t", "y")
FALSE_HERE = ("0", "no", "off", "f", "n")


def translate(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Translate values that mean something else here; returns the values, and sentences that say so.

    Names are in upper case. Values that neither the example nor this service can use are left to be refused.
    """
    taken: dict[str, str] = {}
    remarks = _ignored_names(environment)

    def take(name: str, value: str, why: str) -> None:
        taken[name.lower()] = value
        remarks.append(f"{name}={environment[name]} is taken as {value}: {why}")

    level = environment.get("LOG_LEVEL", "").strip().upper()
    if level in LEVELS:
        take("LOG_LEVEL", LEVELS[level], "this service's name for it")
    for name, (least, most) in (("SEQUENCE_SIZE", SEQUENCE_SIZES), ("HIDDEN_SIZE", HIDDEN_SIZES)):
        with suppress(ValueError):
            size = int(environment.get(name, ""))
            if 1 <= size < least or size > most:
                take(name, str(min(max(size, least), most)), f"it may be {least} to {most}")
    weights = environment.get("USE_CLASS_WEIGHTS", "").strip().lower()
    if weights in TRUE_HERE:
        take(
            "USE_CLASS_WEIGHTS",
            "true",
            "label-studio-ml's example took it as false; write true or false",
        )
    elif weights and weights not in ("true", "false", *FALSE_HERE):
        take("USE_CLASS_WEIGHTS", "false", "as label-studio-ml's example took it; write true or false")
    for name in ("BALANCED_ACCURACY_THRESHOLD", "MIN_CLASS_F1_THRESHOLD"):
        with suppress(ValueError):
            if float(environment.get(name, "")) > 1:
                remarks.append(
                    f"{name}={environment[name]} is above 1 and never met: it ends no training run; "
                    "for 85 %, write 0.85"
                )
    return taken, remarks


def _ignored_names(environment: Mapping[str, str]) -> list[str]:
    ignored = []
    for names in NAMES.values():
        first, *others = [name for name in names if environment.get(name)] or [""]
        ignored += [
            f"{other} is not used, since {first} is set to another value"
            for other in others
            if environment[other] != environment[first]
        ]
    return ignored
