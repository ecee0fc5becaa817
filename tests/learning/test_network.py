import pytest
import torch

from timeseries_segmenter.learning.network import Dimensions, Network


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("samples", [50, 37, 1])
def test_logits_for_every_sample(stride: int, samples: int) -> None:
    network = Network(Dimensions(3, 4, hidden_size=8, stride=stride)).eval()
    assert network(torch.randn(2, samples, 3)).shape == (2, samples, 4)


def test_stride_is_the_number_of_samples_per_timestep() -> None:
    network = Network(Dimensions(1, 2, stride=8))
    timesteps = network.stem(torch.zeros(2, 1, 400)).shape[2]
    assert timesteps == 50


def test_a_stride_that_two_convolutions_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="stride is 3; it should be 1, 2, 4, 8 or 16"):
        Network(Dimensions(1, 2, stride=3))


def test_the_lstm_has_layers_in_both_directions_and_dropout_between() -> None:
    lstm = Network(Dimensions(1, 2, hidden_size=32)).lstm
    assert (lstm.num_layers, lstm.hidden_size, lstm.bidirectional) == (2, 32, True)
    assert lstm.dropout > 0
