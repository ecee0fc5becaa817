import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.errors import DeviceError
from timeseries_segmenter.learning.device import CPU, check_device, choose_device, fork_random, place_on
from timeseries_segmenter.learning.opinions.network import Network
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.learning.segmenter_state import segmenter_from_state, state_of
from timeseries_segmenter.learning.training.fit import Fitted, fit
from timeseries_segmenter.learning.training.recipe import DeviceName, Recipe

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
CHANNELS = ("x", "y")
SAID = "the GPU has no memory left"


def trained(device: DeviceName = "cpu", epochs: int = 4) -> Fitted:
    recipe = Recipe(epochs=epochs, hidden_size=8, device=device)
    return fit([synthetic(seed) for seed in range(3)], LABEL_SETS, CHANNELS, recipe)


def weights(segmenter: Segmenter) -> dict[str, Tensor]:
    return segmenter.network.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name].cpu(), other[name].cpu()) for name in one)


def out_of_memory_at(call: int, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which finds no memory on its `call`-th call."""
    calls = 0

    def method_on_full_gpu(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return method(*arguments)

    return method_on_full_gpu


def test_auto_is_the_gpu_if_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU
    check_device("auto")
    check_device("cpu")


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'gpu'; it should be 'auto', 'cpu' or 'cuda'"):
        choose_device("gpu")


@without_gpu
@pytest.mark.parametrize("refuse", [choose_device, check_device, lambda name: trained(name)])
def test_without_a_gpu_cuda_is_refused_with_what_to_do(refuse: Callable[[str], object]) -> None:
    with pytest.raises(DeviceError, match=r"DEVICE is 'cuda', but .* DEVICE=auto"):
        refuse("cuda")


def test_a_training_without_memory_begins_anew_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = trained()
    monkeypatch.setattr(Network, "forward", out_of_memory_at(3, Network.forward))
    found = trained()
    assert caplog.text.count(SAID) == 1
    assert same(weights(found.segmenter), weights(expected.segmenter))
    assert found.history == expected.history


def test_a_prediction_without_memory_goes_on_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    segmenter, values = trained().segmenter, np.concatenate([synthetic(9).values] * 40)
    expected = segmenter.probabilities(values)
    monkeypatch.setattr(Network, "_window_probabilities", out_of_memory_at(2, Network._window_probabilities))
    assert np.array_equal(segmenter.probabilities(values), expected)
    assert caplog.text.count(SAID) == 1


def test_without_memory_on_the_cpu_either_the_error_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Network, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        trained()


def test_a_model_for_which_a_gpu_has_no_memory_is_loaded_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = torch.nn.Linear(2, 2)
    monkeypatch.setattr(module, "to", out_of_memory_at(1, module.to))
    assert place_on(module, torch.device("cuda")) is module
    assert module.weight.device == CPU
    assert SAID in caplog.text


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_pickled_network_says_the_same_with_or_without_the_gpu_it_was_on(device: str) -> None:
    network = trained().segmenter.network
    restore, (dimensions, saved, was_on) = network.__reduce__()
    assert was_on == "cpu"
    again = restore(dimensions, saved, device) if device == "cuda" else pickle.loads(pickle.dumps(network))
    assert not again.training
    assert again.device == choose_device("auto" if device == "cuda" else "cpu")
    assert same(again.state_dict(), network.state_dict())


def test_the_random_numbers_outside_stay_as_they_are() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with fork_random(choose_device("auto")):
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)


@with_gpu
def test_a_model_from_the_gpu_finds_what_one_from_the_cpu_finds() -> None:
    on_cpu, on_gpu = trained("cpu", 60), trained("cuda", 60)
    assert on_gpu.segmenter.network.device.type == "cuda"
    assert on_gpu.scores.macro_f1 == pytest.approx(on_cpu.scores.macro_f1, abs=0.05)


@with_gpu
def test_the_same_weights_say_the_same_on_both_devices() -> None:
    on_gpu = trained("cuda").segmenter
    state = state_of(on_gpu)
    assert all(each.device == CPU for each in state["weights"].values())
    on_cpu = segmenter_from_state(state)
    assert on_cpu.network.device == CPU
    values = np.concatenate([synthetic(9).values] * 40)
    assert np.allclose(on_gpu.probabilities(values), on_cpu.probabilities(values), atol=2e-3)
