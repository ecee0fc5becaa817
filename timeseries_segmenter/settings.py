"""The service's settings: read once from the environment, frozen, passed on."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from timeseries_segmenter.errors import SettingsError

HOST_VARIABLES = ("LABEL_STUDIO_HOST", "LABEL_STUDIO_URL")  # the first one set counts

Fraction = Annotated[float, Field(ge=0, le=1)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


class Settings(BaseSettings):
    """One field per environment variable, of the same name in upper case.

    Read them with `read_settings`; build one directly in tests and notebooks.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="forbid", populate_by_name=True, validate_default=True
    )

    label_studio_host: str = Field(
        "http://localhost:8080",
        validation_alias=AliasChoices(*HOST_VARIABLES),
        description="Address of Label Studio, as this service reaches it. `LABEL_STUDIO_URL` works too.",
    )
    label_studio_api_key: SecretStr = Field(
        SecretStr(""),
        description="Label Studio access token: a personal access token or a legacy token. "
        "Needed for training and for data that Label Studio serves.",
    )
    model_dir: Path = Field(
        Path("models"), description="Folder for models and for the state of trainings; keep it on a volume."
    )
    start_training_each_n_updates: int = Field(
        1, ge=1, description="Train a project after this many annotation events."
    )
    train_epochs: int = Field(1000, ge=1, description="Upper bound on the epochs of one training.")
    sequence_size: int = Field(50, ge=4, le=10_000, description="Timesteps of the LSTM in one window.")
    hidden_size: int = Field(64, ge=1, le=4096, description="Units of the LSTM, per direction.")
    balanced_accuracy_threshold: Fraction = Field(
        0.85, description="Training may end once balanced accuracy is at least this, and the next is met too."
    )
    min_class_f1_threshold: Fraction = Field(
        0.70, description="Training may end once the worst class's F1 is at least this."
    )
    use_class_weights: bool = Field(True, description="Weight the loss by inverse class frequency.")
    warm_start: bool = Field(
        True,
        description="After an annotation, train on from the project's model where that is as good; "
        "`START_TRAINING` always trains from scratch.",
    )
    random_seed: int = Field(0, ge=0, description="Same data, same settings, same seed: same model.")
    model_history: int = Field(5, ge=1, description="Versions of a project's model that are kept.")
    models_in_memory: int = Field(8, ge=1, description="Models that one web process keeps in memory.")
    local_files_dir: Path | None = Field(
        None, description="Tasks may name files in this folder by path; unset: none may."
    )
    download_timeout: float = Field(
        20, gt=0, description="Seconds to wait for a host that serves a task's series."
    )
    max_series_mb: int = Field(512, ge=1, description="Largest series that is downloaded, in megabytes.")
    cache_dir: Path | None = Field(
        None, description="Folder for downloaded series; unset: `cache` inside `MODEL_DIR`."
    )
    cache_mb: int = Field(1024, ge=0, description="Megabytes of downloaded series to keep; 0: none.")
    max_request_mb: int = Field(
        256, ge=1, description="Largest request body, in megabytes; inline series come in it."
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    port: int = Field(9090, ge=1, le=65535, description="Port that the service listens on.")
    workers: int = Field(1, ge=1, description="Web processes that gunicorn starts.")
    threads: int = Field(8, ge=1, description="Threads in each web process.")

    @field_validator("label_studio_host")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("should be an address such as http://localhost:8080")
        return value.rstrip("/")

    @property
    def series_cache_dir(self) -> Path:
        """Where downloaded series are kept."""
        return self.cache_dir or self.model_dir / "cache"


def read_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; `overrides` win over it.

    Raises SettingsError that names each bad variable, its value and what it should be.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(item) for item in error.errors())) from None


def _describe(item: object) -> str:
    assert isinstance(item, dict)
    name = str(item["loc"][0]).upper()
    if name == HOST_VARIABLES[0] and not os.environ.get(name) and os.environ.get(HOST_VARIABLES[1]):
        name = HOST_VARIABLES[1]
    value = "(hidden)" if name == "LABEL_STUDIO_API_KEY" else repr(item["input"])
    return f"{name} is {value}: {item['msg'].removeprefix('Value error, ')}"
