"""The fitted model of one pair: standardisation, network, decoding and label sets."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from timeseries_segmenter.learning.calibration import Calibration
from timeseries_segmenter.learning.confidence import Confidence
from timeseries_segmenter.learning.decoding import Decoder, Decoding
from timeseries_segmenter.learning.forest import Forest
from timeseries_segmenter.learning.landmark import Landmark
from timeseries_segmenter.learning.network import Dimensions, Network, best_device
from timeseries_segmenter.learning.opinions import opinions_by_stretch
from timeseries_segmenter.learning.pool import Opinions, Pool
from timeseries_segmenter.learning.resampling import SAME_ROWS, Resampling, Sampling, Times
from timeseries_segmenter.learning.rolling import RollingFeatures
from timeseries_segmenter.learning.standardisation import Standardisation
from timeseries_segmenter.segment import LabelSet, Segment, label_set_name

FloatArray = NDArray[np.float32]

NO_DEVICE = torch.device("meta")  # tensors there have a shape alone


@dataclass(frozen=True, slots=True)
class FullTraining:
    """The last training from scratch that a model goes back to: its optimizer steps, the number of
    series, and the scores on them (0 for a model that is not asked for them).
    """

    steps: int
    series: int
    balanced_accuracy: float
    min_f1: float


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What a model says about one series: its segments, by first row, and how sure it is of the whole,
    from 0 to 1.
    """

    segments: list[Segment]
    confidence: float


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Predicts segments of series; made by `learning.training.fit`, kept by `storage.model_file`.

    `window` is in rows, at the rate of `sampling`. `label_sets` are those of the network's classes, class 1
    first; one that was learned both as ranges and as instants is there twice.
    """

    network: Network
    standardisation: Standardisation
    decoding: Decoding
    window: int
    label_sets: tuple[LabelSet, ...]
    channels: tuple[str, ...]
    full_training: FullTraining = FullTraining(0, 0, 0.0, 0.0)
    calibration: Calibration = field(default_factory=Calibration)
    sampling: Sampling = field(default_factory=Sampling)
    rolling: RollingFeatures | None = None
    forest: Forest | None = None
    pool: Pool = field(default_factory=Pool)

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, background first, each of them once."""
        instants = self.decoding.instant_classes
        names = [
            label_set_name(labels)
            + (" (instants)" if number in instants and self.label_sets.count(labels) > 1 else "")
            for number, labels in enumerate(self.label_sets, 1)
        ]
        return ("background", *names)

    def probabilities(self, values: FloatArray, times: Times | None = None) -> FloatArray:
        """Class probabilities `(T, 1 + len(label_sets))` of a series `(T, C)`, background first.

        If the `times` of its rows, `(T,)`, are known, it is brought to the rate that was learned.
        """
        resampling = self.sampling.resampling(times)
        values = resampling.values(values)
        opinions = opinions_by_stretch(self, values)
        pooled = np.concatenate([self.pool.apply(each, axis=0).T for each in opinions])
        return resampling.file_probabilities(pooled)

    def segments(self, values: FloatArray, times: Times | None = None) -> list[Segment]:
        """Segments of a series `(T, C)`, by first row; `times` as in `probabilities`."""
        return self.predict(values, times).segments

    def predict(self, values: FloatArray, times: Times | None = None) -> Segmentation:
        """Segments of a series `(T, C)`, and how sure they are; `times` as in `probabilities`.

        Memory does not grow with the length of a series that is at the common rate.
        """
        resampling = self.sampling.resampling(times)
        values = resampling.values(values)
        opinions = opinions_by_stretch(self, values)
        return self._segmentation((self.pool.apply(each, axis=0) for each in opinions), values, resampling)

    def segmentation(
        self, probabilities: FloatArray, values: FloatArray, resampling: Resampling = SAME_ROWS
    ) -> Segmentation:
        """The same of a series whose `probabilities` are there already, both at the rate that was learned,
        to which `resampling` brought it.
        """
        return self._segmentation([np.ascontiguousarray(probabilities.T)], values, resampling)

    def _segmentation(
        self, stretches: Iterable[FloatArray], values: FloatArray, resampling: Resampling
    ) -> Segmentation:
        decoder, confidence = Decoder(self.decoding), Confidence()
        for probabilities in stretches:
            calibrated = self.calibration.apply(probabilities, axis=0)
            # decoding is tuned to the probabilities as they come from the network
            decoder.add(probabilities, calibrated)
            confidence.add(calibrated)
        segments = decoder.segments(self.label_sets, values)
        instants = {self.label_sets[number - 1] for number in self.decoding.instant_classes}
        return Segmentation(resampling.file_segments(segments, instants), confidence.value())

    def opinions(self, values: FloatArray) -> Opinions:
        """What the network and the forest say of a series at the rate that was learned, row by row."""
        network, forest = zip(*opinions_by_stretch(self, values), strict=True)
        of_network = np.concatenate([each.T for each in network])
        return of_network, None if forest[0] is None else np.concatenate([each.T for each in forest])

    def state(self) -> dict[str, Any]:
        """All of it as plain numbers, strings, lists, dicts and tensors, for `from_state`."""
        return {
            "dimensions": asdict(self.network.dimensions),
            "window": self.window,
            "label_sets": [list(labels) for labels in self.label_sets],
            "channels": list(self.channels),
            "decoding": {  # the file's name for classes of instants is older than theirs
                "points" if key == "instant_classes" else key: value
                for key, value in asdict(self.decoding).items()
            },
            "standardisation": {
                "mean": torch.from_numpy(self.standardisation.mean),
                "deviation": torch.from_numpy(self.standardisation.deviation),
                "heavy_tails": torch.from_numpy(self.standardisation.heavy_tails),
                "per_series": self.standardisation.per_series,
            },
            "full_training": asdict(self.full_training),
            "calibration": asdict(self.calibration),
            "sampling": asdict(self.sampling),
            "rolling": self.rolling
            and {
                "stride": self.rolling.stride,
                "window": self.rolling.window,
                "levels": self.rolling.levels,
                "mean": torch.from_numpy(self.rolling.mean),
                "deviation": torch.from_numpy(self.rolling.deviation),
            },
            "forest": self.forest
            and {
                name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in asdict(self.forest).items()
            },
            "pool": asdict(self.pool),
            "weights": {name: tensor.cpu() for name, tensor in self.network.state_dict().items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device | None = None) -> "Segmenter":
        """The same segmenter again, by default on the GPU if there is one.

        Raises KeyError, TypeError, ValueError, RuntimeError or AttributeError for another state.
        """
        network = Network(Dimensions(**state["dimensions"]))
        network.load_state_dict(state["weights"], assign=device == NO_DEVICE)
        statistics = state["standardisation"]
        decoding = state["decoding"]
        calibration = state.get("calibration") or asdict(Calibration())  # models of format 2 have none
        sampling = state.get("sampling") or asdict(Sampling())  # nor do models of older releases have one
        return cls(
            network.to(device or best_device()).eval(),
            Standardisation(
                statistics["mean"].numpy().copy(),
                statistics["deviation"].numpy().copy(),
                statistics["heavy_tails"].numpy().copy(),
                bool(statistics["per_series"]),
            ),
            Decoding(
                tuple(decoding["prices"]),
                tuple(decoding["points"]),
                int(decoding["gap"]),
                float(decoding["threshold"]),
                float(decoding["smoothing"]),
                int(decoding.get("offset", 0)),
                Landmark(**landmark) if (landmark := decoding.get("landmark")) else None,
            ),
            int(state["window"]),
            tuple(tuple(labels) for labels in state["label_sets"]),
            tuple(state["channels"]),
            FullTraining(**state["full_training"]),
            Calibration(float(calibration["temperature"]), tuple(calibration["biases"])),
            Sampling(float(sampling["interval"])),
            _rolling_from_state(state.get("rolling")),
            _forest_from_state(state.get("forest")),
            Pool(**state.get("pool", {})),
        )

    @classmethod
    def check_state(cls, state: dict[str, Any]) -> None:
        """Raise what `from_state` raises for another state; compares the weights' shapes, not their values.

        Weights that are mapped from a file stay on disk.
        """
        with NO_DEVICE:
            cls.from_state(state, NO_DEVICE)


def _rolling_from_state(state: dict[str, Any] | None) -> RollingFeatures | None:
    if state is None:  # a model of an earlier release, or of a recipe without
        return None
    statistics = (state[name].numpy().copy() for name in ("mean", "deviation"))
    return RollingFeatures(int(state["stride"]), int(state["window"]), int(state["levels"]), *statistics)


def _forest_from_state(state: dict[str, Any] | None) -> Forest | None:
    if state is None:
        return None
    arrays = {name: value.numpy().copy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    return Forest(**arrays, every=int(state["every"]))
