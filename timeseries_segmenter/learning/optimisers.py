"""PyTorch's optimisers, without its compiler.

PyTorch decorates some of their methods to keep them out of `torch.compile`, and imports the compiler when the
first one is called: two CPU seconds and 70 MB of each process that trains. Here, they are not decorated.
"""

from inspect import unwrap

import torch


class _NotDecorated(torch.optim.Optimizer):
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)


class AdamW(_NotDecorated, torch.optim.AdamW):
    """Loshchilov and Hutter 2019, arXiv 1711.05101; `differentiable` has no effect."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class LBFGS(_NotDecorated, torch.optim.LBFGS):
    """Liu and Nocedal 1989, doi 10.1007/BF01589116."""
