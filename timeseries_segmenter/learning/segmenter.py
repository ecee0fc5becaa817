"""The fitted model of one pair: standardisation, network, decoding and label sets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from timeseries_segmenter.learning.decoding.calibration import Calibration
from timeseries_segmenter.learning.decoding.confidence import Confidence
from timeseries_segmenter.learning.decoding.decoder import Decoder, Decoding
from timeseries_segmenter.learning.decoding.landmark import Landmark
from timeseries_segmenter.learning.inputs.resampling import SAME_ROWS, Resampling, Sampling, Times
from timeseries_segmenter.learning.inputs.rolling import RollingFeatures
from timeseries_segmenter.learning.inputs.standardisation import Standardisation
from timeseries_segmenter.learning.opinions.by_stretch import opinions_by_stretch
from timeseries_segmenter.learning.opinions.convolutions import Convolutions
from timeseries_segmenter.learning.opinions.forest import Forest
from timeseries_segmenter.learning.opinions.pool import Opinions, Pool
from timeseries_segmenter.segment import LabelSet, Segment, label_set_name

if TYPE_CHECKING:
    from timeseries_segmenter.learning.opinions.network import Network

FloatArray = NDArray[np.float32]


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
    """Predicts segments of series; made by `learning.training.fit.fit`, kept by `storage.model_file`.

    Beside its network, it needs NumPy alone.

    `window` is in rows, at the rate of `sampling`. `label_sets` are those of the network's classes, class 1
    first; one that was learned both as ranges and as instants is there twice. If it `adapts`, its network
    sees a series as `learning.inputs.adaptation` makes it look like the training series.
    """

    network: "Network"
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
    convolutions: Convolutions | None = None
    pool: Pool = field(default_factory=Pool)
    adapts: bool = False

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

    @property
    def weights(self) -> dict[str, float]:
        """How much each opinion counts in what it predicts, by name."""
        if self.forest is None and self.convolutions is None:
            return {"network": 1.0}
        there = {"network": self.network, "forest": self.forest, "convolutions": self.convolutions}
        return {name: getattr(self.pool, name) for name, opinion in there.items() if opinion is not None}

    def suits(self, channels: Sequence[str], sequence_size: int, stride: int) -> bool:
        """Whether its inputs and rolling features suit series with these channels, of which a window of a
        network spans `sequence_size` timesteps of about `stride` rows.
        """
        own = self.network.dimensions.stride
        return (
            self.rolling is not None
            and self.channels == tuple(channels)
            and self.window == sequence_size * own
            and stride // 2 <= own <= stride * 2
        )

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
        """What the network and the others say of a series at the rate that was learned, row by row."""
        network, *others = zip(*opinions_by_stretch(self, values), strict=True)
        of_others = (
            None if each[0] is None else np.concatenate([part.T for part in each]) for each in others
        )
        return Opinions(np.concatenate([each.T for each in network]), *of_others)

    def with_pool(self, pool: Pool, *, adapts: bool) -> "Segmenter":
        """The same with other weights, and convolutions only if these give them a say; adapting or not."""
        convolutions = self.convolutions if pool.convolutions else None
        return replace(self, convolutions=convolutions, pool=pool, adapts=adapts)

    def adapted_opinion(self, values: FloatArray) -> FloatArray:
        """What the network says of the same series if the model adapts to it, `(T, classes)`."""
        alone = replace(self, forest=None, convolutions=None, adapts=True)
        return alone.opinions(values).network

    def parts(self) -> dict[str, Any]:
        """All but the network as plain numbers, strings, lists, dicts and arrays, for `from_parts`."""
        return {
            "window": self.window,
            "label_sets": [list(labels) for labels in self.label_sets],
            "channels": list(self.channels),
            "decoding": {  # the file's name for classes of instants is older than theirs
                "points" if key == "instant_classes" else key: value
                for key, value in asdict(self.decoding).items()
            },
            "standardisation": asdict(self.standardisation),
            "full_training": asdict(self.full_training),
            "calibration": asdict(self.calibration),
            "sampling": asdict(self.sampling),
            "rolling": self.rolling and asdict(self.rolling),
            "forest": self.forest and asdict(self.forest),
            "convolutions": self.convolutions and asdict(self.convolutions),
            "pool": asdict(self.pool),
            "adapts": self.adapts,
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any], network: "Network") -> "Segmenter":
        """The same segmenter again. Arrays may be tensors.

        Raises KeyError, TypeError, ValueError, RuntimeError or AttributeError for other parts.
        """
        statistics = parts["standardisation"]
        decoding = parts["decoding"]
        calibration = parts.get("calibration") or asdict(Calibration())  # models of format 2 have none
        sampling = parts.get("sampling") or asdict(Sampling())  # nor do models of older releases have one
        return cls(
            network,
            Standardisation(
                _copied(statistics["mean"]),
                _copied(statistics["deviation"]),
                _copied(statistics["heavy_tails"]),
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
            int(parts["window"]),
            tuple(tuple(labels) for labels in parts["label_sets"]),
            tuple(parts["channels"]),
            FullTraining(**parts["full_training"]),
            Calibration(float(calibration["temperature"]), tuple(calibration["biases"])),
            Sampling(float(sampling["interval"])),
            _rolling_from_parts(parts.get("rolling")),
            _forest_from_parts(parts.get("forest")),
            convolutions_from_parts(parts.get("convolutions")),
            Pool(**parts.get("pool", {})),
            bool(parts.get("adapts", False)),
        )


def _copied(array: Any) -> NDArray[Any]:
    """An array that nobody else has, of an array or a tensor. Raises TypeError for anything else."""
    if not hasattr(array, "__array__"):
        raise TypeError(f"{array!r:.40} is not an array")
    return np.asarray(array).copy()


def _rolling_from_parts(parts: Mapping[str, Any] | None) -> RollingFeatures | None:
    if parts is None:  # a model of an earlier release, or of a recipe without
        return None
    statistics = (_copied(parts[name]) for name in ("mean", "deviation"))
    return RollingFeatures(int(parts["stride"]), int(parts["window"]), int(parts["levels"]), *statistics)


def _forest_from_parts(parts: Mapping[str, Any] | None) -> Forest | None:
    if parts is None:
        return None
    arrays = {name: _copied(value) for name, value in parts.items() if name != "every"}
    return Forest(**arrays, every=int(parts["every"]))


def convolutions_from_parts(parts: Mapping[str, Any] | None) -> Convolutions | None:
    """Those of `asdict`, or none; arrays may be tensors."""
    if parts is None:
        return None
    arrays = {name: _copied(parts[name]) for name in ("twos", "mixes", "biases", "weights", "intercepts")}
    return Convolutions(
        dilations=tuple(map(int, parts["dilations"])),
        width=int(parts["width"]),
        every=int(parts["every"]),
        **arrays,
    )
