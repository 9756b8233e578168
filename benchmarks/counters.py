"""FLOP counters that need a module, each as a function: the total it prints for one image."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import nn

Counter = Callable[[nn.Module, Sequence[int]], int]


def installed() -> dict[str, Counter]:
    """The counters that are installed, under the names of archc's conventions."""
    return {name: counter for name, counter in COUNTERS.items() if importlib.util.find_spec(name)}


def _torch(module: nn.Module, size: Sequence[int]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(_image(module, size))
    return int(counter.get_total_flops())


def _fvcore(module: nn.Module, size: Sequence[int]) -> int:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, _image(module, size))
    return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def _ptflops(module: nn.Module, size: Sequence[int]) -> int:
    from ptflops import get_model_complexity_info

    total, _ = get_model_complexity_info(
        module,
        tuple(size),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend="pytorch",
    )
    return int(total)


def _thop(module: nn.Module, size: Sequence[int]) -> int:
    from thop import profile

    total, _ = profile(module, inputs=(_image(module, size),), verbose=False)
    return int(total)


def _torchinfo(module: nn.Module, size: Sequence[int]) -> int:
    from torchinfo import summary

    device = next(module.parameters()).device
    return int(summary(module, (1, *size), verbose=0, device=device).total_mult_adds)


def _calflops(module: nn.Module, size: Sequence[int]) -> int:
    from calflops import calculate_flops

    total, _, _ = calculate_flops(
        module, (1, *size), print_results=False, print_detailed=False, output_as_string=False
    )
    return int(total)


def _image(module: nn.Module, size: Sequence[int]) -> torch.Tensor:
    return torch.zeros((1, *size), device=next(module.parameters()).device)


def _quiet(counter: Counter) -> Counter:
    """What counters say besides is of no interest here."""

    def run(module: nn.Module, size: Sequence[int]) -> int:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            try:
                return counter(module.eval(), size)
            finally:
                logging.disable(logging.NOTSET)

    return run


COUNTERS: dict[str, Counter] = {
    name: _quiet(counter)
    for name, counter in {
        "torch": _torch,
        "fvcore": _fvcore,
        "ptflops": _ptflops,
        "thop": _thop,
        "torchinfo": _torchinfo,
        "calflops": _calflops,
    }.items()
}
