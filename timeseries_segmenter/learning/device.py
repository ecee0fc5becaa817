"""The device that networks are computed on."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
from torch import nn

from timeseries_segmenter.errors import DeviceError

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")
OutOfMemory = torch.OutOfMemoryError  # of a GPU alone

Module = TypeVar("Module", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """The device that a setting names; `auto` is the GPU if there is one.

    Raises DeviceError for `cuda` without a GPU, ValueError for another name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {name!r}; it should be 'auto', 'cpu' or 'cuda'")
    if name != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if name == "cuda":
        raise DeviceError(_lacking())
    return CPU


def check_device(name: str) -> None:
    """Raise what `choose_device` raises, as far as the driver knows without being initialised: processes
    that are forked later could not use the GPU.
    """
    if name == "cuda" and not torch.cuda.device_count():
        raise DeviceError(_lacking())


def place_on(module: Module, device: torch.device) -> Module:
    """The module on a device, or on the CPU if that has no memory left, as the log says."""
    try:
        return module.to(device)
    except OutOfMemory as error:
        log_fallback("a model is on the CPU", error)
        return module.to(CPU)


def log_fallback(what: str, error: BaseException) -> None:
    """Say what is done on the CPU instead, and what a person can do."""
    logger.warning(
        "%s, because the GPU has no memory left (%.200s); give it fewer processes or a smaller HIDDEN_SIZE, "
        "or set DEVICE=cpu",
        what,
        error,
    )


def fork_random(device: torch.device) -> AbstractContextManager[None]:
    """Random numbers of PyTorch within this block leave those outside as they are."""
    return torch.random.fork_rng([] if device.type == "cpu" else [torch.cuda.current_device()])


@contextmanager
def lent_memory(device: torch.device) -> Iterator[None]:
    """Give the GPU's memory back at the end of the block: other processes may need it."""
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _lacking() -> str:
    found = "is built without CUDA" if torch.version.cuda is None else "finds no driver, or no GPU"
    return (
        f"DEVICE is 'cuda', but there is no NVIDIA GPU to use: PyTorch {torch.__version__} {found}; see "
        "docs/how-to/gpu.md, or set DEVICE=auto"
    )
