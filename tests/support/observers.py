"""Observers that keep what they see."""

from timeseries_segmenter.learning.observer import Epoch, Observer


class Epochs(Observer):
    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
