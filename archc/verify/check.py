"""Translation validation: is an emitted module the network that it was emitted from?"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archc.backends.numbers import counted
from archc.backends.pytorch import emit
from archc.devices import RunError, on_device
from archc.graph import Network, Shape, deploy_form
from archc.live import forget_source, instance, source_name
from archc.running import BACKENDS, as_it_was, fault_of, lacks_memory
from archc.text import listing
from archc.verify.report import Fault, Report, Row
from archc.verify.settings import kept_settings, reproducible
from archc.verify.structure import (
    check_initial_values,
    check_modes,
    check_multiply_adds,
    check_parameters,
    check_shapes,
    check_state,
    observe,
)
from archc.verify.subject import Subject
from archc.weights import Checkpoint, describe, match, weights_to_load

CHECKS = (
    "emitted source",
    "parameters",
    "state dict",
    "initial values",
    "output shapes",
    "multiply-adds",
    "training",
    "running statistics",
    "gradients",
    "inference",
    "other inputs",
    "torch.export",
    "torch.compile",
    "deploy form",
)
"""What is checked, in this order."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify: where, on how many images, and what torch.compile compiles with."""

    device: str = "cpu"
    batch: int = 2
    backend: str = "inductor"

    def __post_init__(self) -> None:
        """Raises ValueError for less than two images, and for another backend."""
        if type(self.batch) is not int or self.batch < 2:
            raise ValueError(f"`batch` must be a whole number, 2 or more, not {self.batch!r}")
        if self.backend not in BACKENDS:
            words = f"`backend` must be one of {', '.join(BACKENDS)}, not {self.backend!r}"
            raise ValueError(words)


def verify(
    network: Network,
    checkpoint: Checkpoint | None = None,
    options: Options | None = None,
    *,
    source: str | None = None,
    file: str | None = None,
    deploy: bool = False,
) -> Report:
    """Check an emitted module against its network's graph.

    ``source`` is what to check, by default what archc emits: Python, which is executed. ``file`` is
    where it was read. Weights are freshly initialised unless there is a checkpoint. With
    ``deploy`` it is the network's deploy form, with folded weights. Raises `WeightsError` where the
    checkpoint does not fit, `DeviceError` for a device that is not there or lacks the memory.
    """
    options = options or Options()
    told, weights = None, None
    if checkpoint is not None:
        told = describe(checkpoint, match(network, checkpoint, deploy=deploy))
        weights = weights_to_load(network, checkpoint, deploy=deploy)
    network = deploy_form(network) if deploy else network
    text = _Text(network.name, emit(network) if source is None else source, file)
    done: dict[str, Row] = {}
    with on_device(options.device) as device, as_it_was(device), reproducible(device):
        try:
            with kept_settings() as changed:
                for row in _rows(network, text, weights, options, device):
                    done[row.check] = row
                if found := changed():
                    done[CHECKS[0]] = Row.of(CHECKS[0], "", [Fault("", _changes(found))])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a source may raise anything
            ours = source is None and isinstance(error, Exception)
            if ours or lacks_memory(error):
                raise
            done[CHECKS[0]] = text.fails(error, otherwise="cannot be verified: ")
    rows = [done.get(check, Row.skipped(check)) for check in CHECKS]
    if told is not None:
        rows.insert(0, Row.of("weights", told))
    return Report(network.name, options.device, tuple(rows))


def _rows(
    network: Network,
    text: _Text,
    weights: Mapping[str, Tensor] | None,
    options: Options,
    device: torch.device,
) -> Iterator[Row]:
    """The rows of the checks, up to one whose failure makes the rest impossible."""
    try:
        module = text.instance()
    except Exception as error:
        yield text.fails(error)
        return
    try:
        on_meta = copy.deepcopy(module).to("meta")
    except Exception as error:
        yield text.fails(error, otherwise="what it makes cannot be copied: ")
        return
    yield Row.of(CHECKS[0], text.summary(module), check_modes(module))
    yield check_parameters(network, module)
    state = check_state(network, module)
    yield state
    if state.passed:
        yield check_initial_values(network, module, text.instance(seed=1))
    seen = observe(on_meta, network.input_shape)
    yield from (check_shapes(network, seen), check_multiply_adds(network, seen))
    if not state.passed:
        return
    images = _images(options.batch, network.input_shape).to(device)
    subject = Subject(network, module, weights, images)
    yield from subject.check_training()
    inference = subject.check_inference()
    yield inference
    if inference.passed:
        yield subject.check_other_inputs()
        yield subject.check_export()
        yield subject.check_compile(options.backend)
        yield subject.check_deploy()


def _images(batch: int, input_shape: Shape) -> Tensor:
    """Normally distributed images, the same in every run."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *input_shape, generator=generator, device="cpu")


def _changes(settings: Sequence[str]) -> str:
    return f"it changes torch's {listing(settings, 'and')}"


@dataclass(frozen=True)
class _Text:
    """The source of a network's module, and the file that it was read from, if any."""

    network: str
    source: str
    file: str | None

    def instance(self, seed: int = 0) -> nn.Module:
        """A fresh module, of a seed always the same.

        Raises whatever the source does, and `RunError` where it sets what torch does for everybody.
        """
        torch.manual_seed(seed)
        with kept_settings() as changed, torch.device("cpu"):
            made = instance(self.network, self.source, self.file)
            if found := changed():
                forget_source(self.source, self.file)  # imported once more, it would set nothing
                raise RunError(_changes(found))
        return made

    def summary(self, module: nn.Module) -> str:
        """How long it is, and of a file which class was taken."""
        lines = counted(self.source.count("\n"), "line")
        return f"{lines}, {type(module).__name__}" if self.file else lines

    def fails(self, error: BaseException, otherwise: str = "") -> Row:
        """The row of a source that cannot be run, with the line that it got to.

        ``otherwise`` stands before what none of its lines has raised.
        """
        name = source_name(self.network, self.source, self.file)
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == name]
        words = str(error) if isinstance(error, RunError) else fault_of(error)
        words = f"{words} (line {lines[-1]})" if lines else f"{otherwise}{words}"
        return Row.of(CHECKS[0], "", [Fault("", words)])
