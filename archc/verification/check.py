"""Translation validation: is an emitted module the network that it was emitted from?"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing

import torch
from torch import Tensor, nn

from archc.backends.numbers import counted
from archc.backends.pytorch import emit, writable
from archc.choices import BACKENDS, Backend, check_choice
from archc.dataclassing import dataclass
from archc.devices import on_device
from archc.graph import Network, Shape, deploy_form
from archc.live import instance, source_name
from archc.running import as_it_was, fault_of, lacks_memory
from archc.verification.original import Original
from archc.verification.report import ORIGINAL, Fault, Report, Row
from archc.verification.settings import reproducible
from archc.verification.structure import (
    check_classes,
    check_initial_values,
    check_modes,
    check_multiply_adds,
    check_parameters,
    check_shapes,
    check_state,
    observe,
)
from archc.verification.subject import Subject
from archc.weights import Checkpoint, match_in_words, own_weights, weights_to_load

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

THOROUGH = ("other inputs", "torch.export", "torch.compile")
"""What a quick verification leaves out."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify: where, on how many images, and what torch.compile compiles with.

    A ``quick`` one leaves out `THOROUGH`: it proves shapes, values, statistics and gradients, and
    does not ask what else the module can do.
    """

    device: str = "cpu"
    batch: int = 2
    backend: Backend = "inductor"
    quick: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for less than two images, and for another backend."""
        if type(self.batch) is not int or self.batch < 2:
            raise ValueError(f"`batch` must be an integer of at least 2, not {self.batch!r}")
        check_choice("backend", self.backend, BACKENDS)

    @property
    def checks(self) -> tuple[str, ...]:
        """What is checked, in order."""
        return tuple([one for one in CHECKS if not (self.quick and one in THOROUGH)])


def verify(
    network: Network,
    checkpoint: Checkpoint | None = None,
    options: Options | None = None,
    *,
    source: str | None = None,
    file: str | None = None,
    deploy: bool = False,
    done: Callable[[Row], None] | None = None,
) -> Report:
    """Check an emitted module against its network's graph.

    ``source`` is what to check, by default what archc emits: Python, which is executed. ``file`` is
    where it was read. Weights are those of the checkpoint, or of the network's own model, which the
    module is compared with then, where it can be run; otherwise freshly initialised. With
    ``deploy`` it is the network's deploy form, with folded weights. ``done`` is called with each
    row as soon as it is found; a row replaces an earlier one of the same check. Raises
    `WeightsError` where the checkpoint does not fit, `DeviceError` for a device that is not there
    or lacks the memory.
    """
    options = options or Options()
    network = writable(network)
    told, weights, original = None, None, None
    if network.model is not None:
        original = Original(network.model, checkpoint is None, deploy)
        checkpoint = own_weights(network) if checkpoint is None else checkpoint
    if checkpoint is not None:
        told = match_in_words(network, checkpoint, deploy=deploy)[0]
        if original is not None and original.is_own:
            told = f"the model's own, {counted(len(checkpoint.tensors), 'tensor')}"
        weights = weights_to_load(network, checkpoint, deploy=deploy)
    network = deploy_form(network) if deploy else network
    text = _Text(
        network.name, emit(network) if source is None else source, file, is_emitted=source is None
    )
    checks = options.checks if original is None else (*options.checks, ORIGINAL)
    rows = _told(told, checks, _found(network, text, weights, options, original))
    found: dict[str, Row] = {}
    # What `done` raises is not raised inside the generators, where it would count as the source's.
    with closing(rows):
        for row in rows:
            found[row.check] = row
            if done is not None:
                done(row)
    order = ("weights", *CHECKS, ORIGINAL)
    ordered = sorted(found.values(), key=lambda row: order.index(row.check))
    return Report(network.name, options.device, tuple(ordered))


def _told(
    weights: str | None, checks: Sequence[str], rows: Iterator[Row]
) -> Generator[Row, None, None]:
    """The row of the weights, then one for each of the checks, in order, run or not."""
    if weights is not None:
        yield Row.of("weights", weights)
    waiting = list(checks)
    for row in rows:
        while row.check in waiting and (check := waiting.pop(0)) != row.check:
            yield Row.skipped(check)
        yield row
    yield from map(Row.skipped, waiting)


def _found(
    network: Network,
    text: _Text,
    weights: Mapping[str, Tensor] | None,
    options: Options,
    original: Original | None,
) -> Iterator[Row]:
    """The rows of the checks that could be run; a source's own failure is a row, too."""
    with on_device(options.device) as device, as_it_was(device), reproducible(device):
        try:
            yield from _rows(network, text, weights, options, device, original)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a source may raise anything
            ours = text.is_emitted and isinstance(error, Exception)
            if ours or lacks_memory(error):
                raise
            yield text.fails(error, otherwise="cannot be verified: ")


def _rows(
    network: Network,
    text: _Text,
    weights: Mapping[str, Tensor] | None,
    options: Options,
    device: torch.device,
    original: Original | None,
) -> Iterator[Row]:
    """The rows of the checks, up to one whose failure makes the rest impossible."""
    try:
        module = text.instance()
    except Exception as error:
        yield text.fails(error)
        return
    try:
        observed = copy.deepcopy(module).to(device)
    except Exception as error:
        yield text.fails(error, otherwise="its module cannot be copied: ")
        return
    yield Row.of(CHECKS[0], text.summary(module), check_modes(module))
    yield check_parameters(network, module)
    state = check_state(network, module)
    other = check_classes(network, module) if state.passed else []
    yield Row.of(state.check, "differs", other) if other else state
    if state.passed:
        yield check_initial_values(network, module)
    seen = observe(network, observed, device)
    del observed
    yield from (check_shapes(network, seen), check_multiply_adds(network, seen))
    if not state.passed:
        return
    images = _images(options.batch, network.input_shape).to(device)
    subject = Subject(network, module, weights, images)
    yield from subject.check_training()
    inference = subject.check_inference()
    yield inference
    if inference.passed:
        if not options.quick:
            yield subject.check_other_inputs()
            yield subject.check_export()
            yield subject.check_compile(options.backend)
        yield subject.check_deploy()
        if original is not None:
            yield original.check(network, subject)


def _images(batch: int, input_shape: Shape) -> Tensor:
    """Normally distributed images, the same in every run."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *input_shape, generator=generator, device="cpu")


@dataclass(frozen=True)
class _Text:
    """The source of a network's module, and the file that it was read from, if any."""

    network: str
    source: str
    file: str | None
    is_emitted: bool

    def instance(self) -> nn.Module:
        """A fresh module, always the same. Raises whatever the source does."""
        torch.manual_seed(0)
        with torch.device("cpu"):
            return instance(self.network, self.source, self.file)

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
        words = fault_of(error)
        words = f"{words} (line {lines[-1]})" if lines else f"{otherwise}{words}"
        return Row.of(CHECKS[0], "", [Fault("", words)])
