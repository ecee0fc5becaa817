"""What people set about a model in the labeling config itself, as other Label Studio backends have it."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from timeseries_segmenter.errors import LabelConfigError

PREFIX = "model_"

Unlabeled = Literal["background", "ignore", "span"]


def _project(value: object) -> object:
    """The number of the project that a text such as `project:47` names. Raises ValueError for another one."""
    if not isinstance(value, str):
        return value
    named = re.fullmatch(r"project:\s*([1-9][0-9]{0,17})", value.strip())
    if named is None:
        raise ValueError("it should name a project by its number, as in project:47")
    return int(named[1])


# a text for people who read the reference
StartProject = Annotated[int | None, BeforeValidator(_project, json_schema_input_type=str | None)]


class PairSettings(BaseModel):
    """Attributes of a `TimeSeriesLabels` tag, each behind `model_`.

    The reference page is generated from the names, bounds and descriptions here.
    """

    model_config = ConfigDict(frozen=True)

    score_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Regions whose score is below it are not predicted.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Upper bound on the epochs of one training run, instead of `TRAIN_EPOCHS`.",
    )
    sequence_size: int | None = Field(
        default=None,
        ge=4,
        le=10_000,
        description="Timesteps of the LSTM in one window, instead of `SEQUENCE_SIZE`.",
    )
    hidden_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Units of the LSTM, per direction, instead of `HIDDEN_SIZE`.",
    )
    unlabeled: Unlabeled = Field(
        default="background",
        description="What rows without a region teach. `background`: that nothing is there. `ignore`: "
        "nothing, so if no label is marked as background, every row is predicted with some label. `span`: "
        "between the first and the last region of a series that nothing is there, beyond them nothing.",
    )
    start: StartProject = Field(
        default=None,
        description="`project:47`: until this project has a model of its own, that of project 47 predicts "
        "its tasks, if the config has the channels and labels that it knows; the first training run goes on "
        "from it if that suits. A config names one project.",
    )
    skip: bool = Field(
        default=False,
        description="Leave this tag alone: nothing is learned or predicted for it.",
    )

    @classmethod
    def read(cls, attributes: Mapping[str, str], tag: str) -> "PairSettings":
        """From a tag's attributes, their names in lower case.

        Attributes of other backends, `model_path` say, are passed over. Raises LabelConfigError that
        names `tag`, the attribute and its value.
        """
        given = {
            name.removeprefix(PREFIX): value.strip()
            for name, value in attributes.items()
            if name.startswith(PREFIX) and value.strip()
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["msg"].removeprefix("Value error, ")
            raise LabelConfigError(
                f'{tag} has {PREFIX}{first["loc"][0]}="{first["input"]}": {reason}; correct it, or leave it '
                "out."
            ) from error


def unknown_settings(attributes: Mapping[str, str]) -> list[str]:
    """Attributes behind `model_` that are not settings of this service: another backend's, or misspelt."""
    return [
        name
        for name in attributes
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in PairSettings.model_fields
    ]
