import pytest
import torch

from timeseries_segmenter.learning.dimensions import Dimensions
from timeseries_segmenter.learning.opinions.network import MixedNorm, Network


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("samples", [50, 37, 8])
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


def test_the_lstm_reads_in_both_directions() -> None:
    lstm = Network(Dimensions(1, 2, hidden_size=32)).lstm
    assert (lstm.num_layers, lstm.hidden_size, lstm.bidirectional) == (1, 32, True)


def test_dropout_leaves_out_whole_features_of_a_window() -> None:
    torch.manual_seed(0)
    states = Network(Dimensions(1, 2)).dropout(torch.ones(4, 128, 50))
    assert ((states == 0).all(dim=2) | (states > 1).all(dim=2)).all()
    assert 0.2 < (states == 0).float().mean() < 0.4


def test_a_share_of_the_features_is_normalised_over_the_window_itself() -> None:
    norm = MixedNorm(32)
    features = torch.randn(6, 32, 100) * torch.arange(1, 7)[:, None, None]
    deviations = norm(features).std(dim=2)
    torch.testing.assert_close(deviations[:, :8], torch.ones(6, 8), atol=0.02, rtol=0)
    assert (deviations[5, 8:] > 3 * deviations[0, 8:]).all()
