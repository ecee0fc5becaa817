"""The network as an estimator in scikit-learn's manner: series and labels in, labels out."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from timeseries_segmenter.errors import TrainingError
from timeseries_segmenter.learning.examples import Example
from timeseries_segmenter.learning.metrics import confusion_matrix, scores_of
from timeseries_segmenter.learning.training.fit import Recipe, fit
from timeseries_segmenter.segment import LabelSet, Segment, class_by_row, label_set_name
from timeseries_segmenter.words import counted

Floats: TypeAlias = npt.NDArray[np.float32]

BACKGROUND = "background"


class SegmentClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn brings no types
    """Learns segments of time series, and predicts them on other series.

    A bidirectional LSTM gives each row a probability for each label; the most probable segmentation is
    then searched for, at a price for every change of label that is learned from the lengths of the
    segments. It is the model that the service trains, without Label Studio.

    Parameters
    ----------
    max_epochs : int, default=1000
        Epochs after which training ends if the two thresholds were not reached before.
    sequence_size : int, default=50
        Timesteps of the LSTM in one window.
    hidden_size : int, default=64
        Units of the LSTM, per direction.
    balanced_accuracy_threshold, min_class_f1_threshold : float, default=0.85, 0.70
        Training may end once both scores are reached on the training series. Above 1: never.
    use_class_weights : bool, default=True
        Weight the loss by inverse class frequency.
    device : {"auto", "cpu", "cuda"}, default="auto"
        What computes the network. "auto": an NVIDIA GPU if there is one.
    background : label, default=None
        The label of rows in no segment. None: 0 if labels are numbers, False if they are booleans,
        "background" otherwise.
    random_state : int, RandomState instance or None, default=0
        Seed of the weights, the windows and the dropout. The same int and data give the same model.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order, the background among them.
    n_features_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the channels, if series are data frames.
    n_iter_ : int
        Epochs of the training.
    segmenter_ : Segmenter
        The fitted model.

    Examples
    --------
    >>> import numpy as np
    >>> from timeseries_segmenter import Segment, SegmentClassifier
    >>> random = np.random.default_rng(0)
    >>> X = [random.normal(size=(300, 1)) for _ in range(3)]
    >>> for series, first in zip(X, (50, 120, 180)):
    ...     series[first : first + 80] *= 10
    >>> y = [[Segment(50, 129, ("Shake",))], [Segment(120, 199, ("Shake",))]]
    >>> model = SegmentClassifier(max_epochs=60, hidden_size=8).fit(X[:2], y)
    >>> [segment.labels for segment in model.predict_segments(X[2:])[0]]
    [('Shake',)]
    >>> model.predict(X[2:])[0][220]
    np.str_('Shake')
    """

    def __init__(
        self,
        max_epochs: int = 1000,
        sequence_size: int = 50,
        hidden_size: int = 64,
        balanced_accuracy_threshold: float = 0.85,
        min_class_f1_threshold: float = 0.70,
        use_class_weights: bool = True,
        background: Any = None,
        random_state: Any = 0,
        device: Any = "auto",
    ) -> None:
        self.max_epochs = max_epochs
        self.sequence_size = sequence_size
        self.hidden_size = hidden_size
        self.balanced_accuracy_threshold = balanced_accuracy_threshold
        self.min_class_f1_threshold = min_class_f1_threshold
        self.use_class_weights = use_class_weights
        self.background = background
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any) -> "SegmentClassifier":
        """Train a network from scratch.

        Parameters
        ----------
        X : list of array-like of shape (T, C), or one such array
            Series, rows in the order of time; NaN where a value is missing.
        y : list, with a list of Segment or an array-like of shape (T,) for each series
            What to learn. One of them alone if X is one array.

        Returns
        -------
        SegmentClassifier
            Itself.

        Raises
        ------
        ValueError
            Series and labels don't fit together, or no row has another label than the background.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        series = self._series(X, reset=True)
        targets = _targets(X, y, series)
        rows = np.concatenate(
            [self._row_labels(each, len(values)) for each, values in zip(targets, series, strict=True)]
        )
        check_classification_targets(rows)
        background = _default_background(rows) if self.background is None else self.background
        self.classes_ = np.unique(np.append(rows, background))
        place = int(np.searchsorted(self.classes_, background))
        others = [each for each in range(len(self.classes_)) if each != place]
        self._places = np.array([place, *others])  # in classes_, of the network's classes
        label_sets: dict[str, LabelSet] = {name: (name,) for name in map(str, self.classes_[others])}
        for each in filter(_is_segments, targets):
            label_sets |= {label_set_name(one.labels): one.labels for one in each}
        if str(background) in label_sets:
            raise ValueError(f"a segment has the label of the background, {background!r}")
        self._label_sets = [*label_sets.values()]
        examples = [self._example(values, each) for values, each in zip(series, targets, strict=True)]
        channels = [str(name) for name in getattr(self, "feature_names_in_", range(self.n_features_in_))]
        try:
            fitted = fit(examples, self._label_sets, channels, self._recipe())
        except TrainingError as error:
            raise ValueError(
                f"y holds one class, the background {background!r}; at least one segment is needed"
            ) from error
        self.segmenter_, self.n_iter_ = fitted.segmenter, fitted.epochs
        return self

    def predict_segments(self, X: Any) -> Any:
        """Predict the segments of each series.

        Parameters
        ----------
        X : list of array-like of shape (T, C), or one such array

        Returns
        -------
        list of list of Segment, by first row; one list if X is one array
        """
        found = [self.segmenter_.segments(values) for values in self._fitted_series(X)]
        return found[0] if _is_one(X) else found

    def predict(self, X: Any) -> Any:
        """Predict the label of each row: that of the segment that it is in, or the background.

        Parameters
        ----------
        X : list of array-like of shape (T, C), or one such array

        Returns
        -------
        list of ndarray of shape (T,); one array if X is one array
        """
        found = [
            self.classes_[
                self._places[class_by_row(self.segmenter_.segments(values), self._number, len(values))]
            ]
            for values in self._fitted_series(X)
        ]
        return found[0] if _is_one(X) else found

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each label in each row, as the network gives it.

        `predict` searches for the most probable segmentation, which need not be the most probable label
        of each row.

        Parameters
        ----------
        X : list of array-like of shape (T, C), or one such array

        Returns
        -------
        list of ndarray of shape (T, n_classes), in the order of `classes_`; one array if X is one array
        """
        found = []
        for values in self._fitted_series(X):
            probabilities = np.zeros((len(values), len(self.classes_)), np.float32)
            classes = [0, *(self._label_sets.index(labels) + 1 for labels in self.segmenter_.label_sets)]
            for number, column in zip(classes, self.segmenter_.probabilities(values).T, strict=True):
                probabilities[:, self._places[number]] += column  # one learned as ranges and instants has two
            found.append(probabilities)
        return found[0] if _is_one(X) else found

    def score(self, X: Any, y: Any) -> float:
        """Macro F1 over the rows of all series: the mean of the F1 of each label that occurs in y.

        Parameters
        ----------
        X : list of array-like of shape (T, C), or one such array
        y : as in `fit`

        Returns
        -------
        float
        """
        series = self._fitted_series(X)
        predicted = [self.predict(values) for values in series]
        truth = [
            self._row_labels(each, len(values))
            for each, values in zip(_targets(X, y, series), series, strict=True)
        ]
        classes = np.unique(np.concatenate([*truth, self.classes_]))
        true, found = (np.searchsorted(classes, np.concatenate(rows)) for rows in (truth, predicted))
        return scores_of(confusion_matrix(true, found, len(classes))).macro_f1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _recipe(self) -> Recipe:
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        return Recipe(
            epochs=self.max_epochs,
            sequence_size=self.sequence_size,
            hidden_size=self.hidden_size,
            balanced_accuracy_threshold=self.balanced_accuracy_threshold,
            min_class_f1_threshold=self.min_class_f1_threshold,
            use_class_weights=self.use_class_weights,
            seed=int(seed),
            device=self.device,
            convolutions=False,  # only a cross-validation shows whether they help
        )

    def _fitted_series(self, X: Any) -> list[Floats]:
        check_is_fitted(self)
        return self._series(X, reset=False)

    def _series(self, X: Any, *, reset: bool) -> list[Floats]:
        """Each series as float32, `(T, C)`. Raises ValueError for other shapes, or for different channels."""
        found: list[Floats] = []
        for each in [X] if _is_one(X) else X:
            is_first = reset and not found
            found.append(
                validate_data(self, each, reset=is_first, dtype=np.float32, ensure_all_finite="allow-nan")
            )
        return found

    def _number(self, segment: Segment) -> int:
        return self._label_sets.index(segment.labels) + 1

    def _example(self, values: Floats, target: Any) -> Example:
        if not _is_segments(target):
            return Example(
                values, np.argsort(self._places)[np.searchsorted(self.classes_, np.asarray(target).ravel())]
            )
        ranges = [each for each in target if not each.instant]
        instants = sorted((each.first, self._number(each)) for each in target if each.instant)
        rows = np.array(instants, np.int64).reshape(-1, 2)
        return Example(values, class_by_row(ranges, self._number, len(values)), rows[:, 0], rows[:, 1])

    def _row_labels(self, target: Any, length: int) -> npt.NDArray[Any]:
        """The label of each row, `(T,)`. Raises ValueError for what does not fit the series."""
        if not _is_segments(target):
            labels: npt.NDArray[Any] = column_or_1d(target, warn=True)
            if len(labels) != length:
                raise ValueError(
                    f"a series of {counted(length, 'row')} has {counted(len(labels), 'label')} in y: "
                    "inconsistent"
                )
            return labels
        for each in target:
            if not 0 <= each.first <= each.last < length:
                raise ValueError(f"{each} lies outside its series of {counted(length, 'row')}")
        label_sets = list(dict.fromkeys(each.labels for each in target))
        names = np.array(
            [
                BACKGROUND if self.background is None else str(self.background),
                *map(label_set_name, label_sets),
            ]
        )
        return names[class_by_row(target, lambda each: label_sets.index(each.labels) + 1, length)]


def _is_one(X: Any) -> bool:
    """Whether X is one series, not a list of them. Raises ValueError if it is empty."""
    if hasattr(X, "ndim") or hasattr(X, "__array__"):
        return int(X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) < 3
    if not len(X):
        raise ValueError("X holds no series: at least one is needed")
    return np.ndim(X[0]) < 2


def _targets(X: Any, y: Any, series: Sequence[Floats]) -> list[Any]:
    targets = [y] if _is_one(X) else list(y)
    if len(targets) != len(series):
        raise ValueError(f"X holds {len(series)} series, but y is of {len(targets)}")
    return targets


def _is_segments(target: Any) -> bool:
    return isinstance(target, Sequence) and all(isinstance(each, Segment) for each in target)


def _default_background(rows: npt.NDArray[Any]) -> Any:
    return {"b": False, "i": 0, "u": 0, "f": 0}.get(rows.dtype.kind, BACKGROUND)
