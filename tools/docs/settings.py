"""The settings, from the fields of `Settings`."""

from timeseries_segmenter.settings import Settings
from tools.docs.markdown import kind, shown, table

GROUPS = {
    "Label Studio": ("label_studio_host", "label_studio_public_url", "label_studio_api_key"),
    "When and how to train": (
        "start_training_each_n_updates",
        "train_epochs",
        "sequence_size",
        "hidden_size",
        "balanced_accuracy_threshold",
        "min_class_f1_threshold",
        "use_class_weights",
        "warm_start",
        "search_seconds",
        "max_training_rows",
        "predict_after_training",
        "predict_seconds",
        "training_timeout",
        "training_processes",
        "redis_url",
        "device",
        "random_seed",
    ),
    "Models": ("model_dir", "model_history", "models_in_memory"),
    "Series": (
        "data_allowed_hosts",
        "local_files_dir",
        "download_timeout",
        "predict_download_timeout",
        "max_series_mb",
        "cache_dir",
        "cache_mb",
    ),
    "Who may ask": ("basic_auth_user", "basic_auth_pass", "webhook_secret"),
    "Web server and log": (
        "port",
        "workers",
        "threads",
        "max_request_mb",
        "max_request_tasks",
        "max_request_values",
        "log_level",
        "log_format",
    ),
}
WORDS = {"path or null": "path", "list of texts": "texts, with commas between them"}


def tables() -> str:
    """A table for each group. Raises ValueError if a setting is in none."""
    grouped = [name for names in GROUPS.values() for name in names]
    if sorted(grouped) != sorted(Settings.model_fields):
        odd = set(grouped) ^ set(Settings.model_fields)
        raise ValueError(f"tools/docs/settings.py: put {', '.join(sorted(odd))} into one group")
    return "\n\n".join(f"## {title}\n\n{_table(names)}" for title, names in GROUPS.items())


def _table(names: tuple[str, ...]) -> str:
    properties = Settings.model_json_schema(by_alias=False)["properties"]
    defaults = _defaults()
    rows = [
        (
            f"`{name.upper()}`",
            WORDS.get(kind(properties[name]), kind(properties[name])),
            shown(defaults[name]) or "unset",
            Settings.model_fields[name].description or "",
        )
        for name in names
    ]
    return table(("Variable", "Value", "Default", ""), rows)


def _defaults() -> dict[str, object]:
    # not those of whoever writes the documentation: nothing is read from the environment
    return Settings.model_construct().model_dump(mode="json")
