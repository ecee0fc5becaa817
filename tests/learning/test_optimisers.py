import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from timeseries_segmenter.learning import optimisers

TRAINING = """
import sys

from tests.support.synthetic import LABEL_SETS, synthetic
from timeseries_segmenter.learning.training.recipe import Recipe
from timeseries_segmenter.learning.validation.validated import fit_and_validate

recipe = Recipe(epochs=1, hidden_size=4, forest=False)
examples = [synthetic(seed) for seed in range(4)]
validated = fit_and_validate(examples, LABEL_SETS, ("a", "b"), recipe, [0, 0, 1, 1])
assert validated.validation
print(*(name for name in ("torch.optim", "torch._dynamo") if name in sys.modules))
"""


def train(optimiser: Callable[..., Any], **options: Any) -> list[Tensor]:
    """The weights of a small network after some steps, at two learning rates."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    inputs = torch.randn(20, 5)
    fitted = optimiser(network.parameters(), **options)

    def loss() -> Tensor:
        fitted.zero_grad()
        value: Tensor = (network(inputs) - inputs[:, :3]).square().mean()
        torch.autograd.backward(value)
        return value

    for rate in [0.1] * 10 + [0.01] * 10:
        fitted.param_groups[0]["lr"] = rate
        fitted.step(loss)
    return [each.detach() for each in network.parameters()]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("AdamW", {"weight_decay": 0.3, "fused": True}),
        ("LBFGS", {"max_iter": 5, "line_search_fn": "strong_wolfe"}),
    ],
)
def test_the_weights_are_those_of_pytorchs_own_to_the_last_bit(name: str, options: dict[str, Any]) -> None:
    own = train(getattr(optimisers, name), **options)
    for mine, theirs in zip(own, train(getattr(torch.optim, name), **options), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_a_training_run_imports_no_compiler() -> None:
    ended = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, timeout=240)
    assert ended.stdout == "torch.optim\n", ended.stderr
