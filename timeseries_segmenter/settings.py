"""The service's settings: read once from the environment, frozen, passed on."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from timeseries_segmenter.errors import SettingsError
from timeseries_segmenter.example_settings import HIDDEN_SIZES, NAMES, SEQUENCE_SIZES, translate

Threshold = Annotated[float, Field(ge=0)]
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")  # a name or an address, and a port
KEY = re.compile(r"[!-~]*")
PAGE = re.compile(r"/(projects|user|api)(?=/|$)")  # of Label Studio
ADDRESSES = ("label_studio_host", "label_studio_public_url")
UNQUOTED = (*ADDRESSES, "label_studio_api_key")
Device = Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(str.lower)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """One field per environment variable, of the same name in upper case.

    Read them with `read_settings`; build one directly in tests and notebooks.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="forbid", populate_by_name=True, validate_default=True
    )

    label_studio_host: str = Field(
        "http://localhost:8080",
        validation_alias=AliasChoices(*NAMES["label_studio_host"]),
        description="Address of Label Studio, as this service reaches it. `LABEL_STUDIO_URL` works too.",
    )
    label_studio_public_url: str = Field(
        "",
        description="Address of Label Studio as people's browsers reach it, for links; "
        "unset: `LABEL_STUDIO_HOST`.",
    )
    label_studio_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices(*NAMES["label_studio_api_key"]),
        description="Label Studio access token: a personal access token or a legacy token. "
        "Needed for training, for data that Label Studio serves, and to store predictions there.",
    )
    model_dir: Path = Field(
        Path("models"), description="Folder for models and for the state of trainings; keep it on a volume."
    )
    start_training_each_n_updates: int = Field(
        1, ge=1, description="Train a project after this many annotation events."
    )
    train_epochs: int = Field(1000, ge=1, description="Upper bound on the epochs of one training run.")
    sequence_size: int = Field(
        50, ge=SEQUENCE_SIZES[0], le=SEQUENCE_SIZES[1], description="Timesteps of the LSTM in one window."
    )
    hidden_size: int = Field(
        64, ge=HIDDEN_SIZES[0], le=HIDDEN_SIZES[1], description="Units of the LSTM, per direction."
    )
    balanced_accuracy_threshold: Threshold = Field(
        0.85,
        description="Training may end once balanced accuracy is at least this, and the next is met too; "
        "above 1: never.",
    )
    min_class_f1_threshold: Threshold = Field(
        0.70, description="Training may end once the worst class's F1 is at least this; above 1: never."
    )
    use_class_weights: bool = Field(True, description="Weight the loss by inverse class frequency.")
    warm_start: bool = Field(
        True,
        description="After an annotation, make a warm start from the project's model if the result is as "
        "good; `START_TRAINING` always trains from scratch.",
    )
    search_seconds: float = Field(
        90,
        ge=0,
        allow_inf_nan=False,
        description="Seconds of the CPU to search for a recipe that suits a project's tasks better, after a "
        "training run and while no other one waits; 0: never.",
    )
    max_training_rows: int = Field(
        200_000,
        ge=1000,
        description="Rows that a training run after an annotation learns from at most; *Start Training* "
        "takes twice as many. Of larger projects, it takes the newest annotations and others in turns. "
        "They are counted with eight channels: of one or two, four times as many are taken.",
    )
    predict_after_training: int = Field(
        500,
        ge=0,
        description="So many of the next tasks without annotations are predicted after a training run, and "
        "their predictions stored in Label Studio; before there is a model, they get scores alone. "
        "0: none are.",
    )
    predict_seconds: float = Field(
        300,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that predicting tasks after a training run may take.",
    )
    training_timeout: int = Field(3600, ge=1, description="Seconds that one training run may take.")
    training_processes: int = Field(
        1,
        ge=1,
        description="Projects that are trained side by side, each by a process of its own next to the web "
        "server; no more than there are cores, or than the container may use. Without Redis only.",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis (`redis://host:6379/0`) that wakes `make worker` processes; "
        "unset: one process next to the web server trains.",
    )
    device: Device = Field(
        "auto",
        description="What computes networks: `cpu`, `cuda` for an NVIDIA GPU, or `auto` for a GPU if there "
        "is one.",
    )
    random_seed: int = Field(0, ge=0, description="Same data, same settings, same seed: same model.")
    model_history: int = Field(5, ge=1, description="Versions to keep of each project's model.")
    models_in_memory: int = Field(8, ge=1, description="Models that one web process keeps in memory.")
    data_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts on private addresses that series may come from, separated by commas: `minio:9000, "
        "10.0.0.5`. Label Studio's host and public hosts are always allowed.",
    )
    local_files_dir: Path | None = Field(
        None, description="Tasks may name files in this folder by path; unset: none may."
    )
    download_timeout: float = Field(
        20, gt=0, description="Seconds to wait for a host that serves a task's series."
    )
    predict_download_timeout: float = Field(
        60,
        gt=0,
        description="Seconds that one request for predictions waits for all of its tasks' series; Label "
        "Studio gives up after 100.",
    )
    max_series_mb: int = Field(512, ge=1, description="Largest series to download, in megabytes.")
    cache_dir: Path | None = Field(
        None,
        description="Folder for downloaded and parsed series and for what is known of tasks; "
        "unset: `cache` inside `MODEL_DIR`.",
    )
    cache_mb: int = Field(
        1024,
        ge=0,
        description="Megabytes of downloaded and parsed series to keep, and a quarter as many of annotated "
        "tasks; 0: none.",
    )
    max_request_mb: int = Field(
        256, ge=1, description="Largest request body, in megabytes; inline series are part of it."
    )
    max_request_tasks: int = Field(10_000, ge=1, description="Most tasks in one request for predictions.")
    max_request_values: int = Field(
        20_000_000,
        ge=1000,
        description="Most JSON values in a request body; an object or a list counts as five. "
        "A parsed body takes some 64 bytes a value.",
    )
    basic_auth_user: str = Field(
        "",
        validation_alias=AliasChoices(*NAMES["basic_auth_user"]),
        description="User name that every request except `/health` must give; unset: none.",
    )
    basic_auth_pass: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices(*NAMES["basic_auth_pass"]),
        description="Password that goes with it.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="Value that webhooks must carry in the header `X-Webhook-Secret`, "
        "unless they carry user and password.",
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    log_format: LogFormat = Field("text", description="`text`, or `json`: one object per line.")
    port: int = Field(9090, ge=1, le=65535, description="Port that the service listens on.")
    workers: int = Field(1, ge=1, description="Web processes that gunicorn starts.")
    threads: int = Field(
        16, ge=1, description="Threads in each web process for predictions, and as many for other requests."
    )
    _remarks: tuple[str, ...] = PrivateAttr(())

    @field_validator(*UNQUOTED, mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        """Remove what a shell would have removed; `docker run --env-file` does not."""
        if isinstance(value, SecretStr):
            return SecretStr(str(cls._bare(value.get_secret_value())))
        if not isinstance(value, str):
            return value
        bare = value.strip()
        quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'"
        return bare[1:-1].strip() if quoted else bare

    @field_validator("label_studio_api_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        if not KEY.fullmatch(value.get_secret_value()):
            raise ValueError("contains blanks or other characters that no token has; copy the token only")
        return value

    @field_validator("label_studio_host", "label_studio_public_url")
    @classmethod
    def _address(cls, value: str, field: ValidationInfo) -> str:
        if not value and field.field_name == "label_studio_public_url":
            return value
        try:
            parts = urlsplit(value)
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            known = False
        # urlsplit ignores some blanks, which would be sent
        if not known or re.search(r"[\s\\]", value) or not value.isprintable():
            raise ValueError("should be an address such as http://localhost:8080")
        if "@" in parts.netloc:
            raise ValueError(
                "must not contain user and password; this service shows LABEL_STUDIO_API_KEY to Label Studio"
            )
        page = PAGE.search(parts.path)
        if page or parts.query or parts.fragment:
            away = f"{page[0]!r} and what follows" if page else "what follows the path"
            raise ValueError(f"should be where Label Studio begins, not one of its pages; remove {away}")
        return value.rstrip("/")

    @field_validator("data_allowed_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return (
            [part.strip().lower() for part in value.split(",") if part.strip()]
            if isinstance(value, str)
            else value
        )

    @field_validator("data_allowed_hosts")
    @classmethod
    def _known_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} should be a host's name or address, and a port if only one may be read"
                )
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: SecretStr) -> SecretStr:
        address = value.get_secret_value()
        if address and urlsplit(address).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("should be an address such as redis://localhost:6379/0")
        return value

    @field_validator("basic_auth_user")
    @classmethod
    def _user(cls, value: str) -> str:
        if ":" in value:
            raise ValueError("must not contain a colon")  # it ends the name in the header (RFC 7617)
        return value

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.basic_auth_user) != bool(self.basic_auth_pass.get_secret_value()):
            raise ValueError("BASIC_AUTH_USER and BASIC_AUTH_PASS go together: set both, or none")
        return self

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was read differently from what the environment says; one sentence each, for the log."""
        return self._remarks

    @property
    def label_studio_link(self) -> str:
        """Where links into Label Studio lead, without a slash at the end."""
        return self.label_studio_public_url or self.label_studio_host

    @property
    def series_cache_dir(self) -> Path:
        """Where downloaded and parsed series are kept, and what is known of tasks."""
        return self.cache_dir or self.model_dir / "cache"


def read_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; `overrides` win over it.

    Raises SettingsError that names each bad variable, its value and what it should be.
    """
    environment = {name.upper(): text for name, text in os.environ.items() if name.lower() not in overrides}
    taken, remarks = translate(environment)
    try:
        settings = Settings(**(taken | overrides))  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(item) for item in error.errors())) from None
    settings._remarks = tuple(remarks)
    return settings


def _describe(item: object) -> str:
    assert isinstance(item, dict)
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    name = str(item["loc"][0]).upper()
    field = Settings.model_fields.get(name.lower())
    names = NAMES.get(name.lower(), ())
    name = next((other for other in names if os.environ.get(other)), name)
    value = "(hidden)" if field and field.annotation is SecretStr else repr(item["input"])
    if name.lower() in ADDRESSES or name in NAMES["label_studio_host"]:
        value = re.sub(r"(?s)^.*@", "'…@", value)  # it may be a password
    return f"{name} is {value}: {message}"
