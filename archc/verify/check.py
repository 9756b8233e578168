"""Translation validation: is an emitted module the network that it was emitted from?"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from archc.backends.numbers import counted
from archc.backends.pytorch import emit
from archc.devices import on_device
from archc.exporting import NO_COMPILER, exported, quiet, why_not
from archc.graph import Network, deploy_form, foldings
from archc.graph.ops import BatchNorm2d, Conv2d, Dropout, Linear
from archc.live import instance, source_name
from archc.verify import interpreter
from archc.verify.inputs import check_inputs
from archc.verify.report import Fault, Report, Row
from archc.verify.structure import (
    check_initial_values,
    check_modes,
    check_multiply_adds,
    check_parameters,
    check_shapes,
    check_state,
    observe,
)
from archc.verify.values import (
    check_predict,
    compare_gradients,
    differs,
    distance,
    first_without_gradient,
    follow,
    gradients_differ,
    norm_distance,
)
from archc.weights import (
    Checkpoint,
    describe,
    fold_weights,
    match,
    weights_to_load,
)
from archc.words import in_words

State: TypeAlias = Mapping[str, Tensor]

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

BACKENDS = ("inductor", "aot_eager", "eager")
"""What torch.compile may compile with. Inductor is torch's default and needs a C++ compiler; the
others only take the module apart and put it together again."""

LOUDER = 8
"""How many times as large the images are in eval mode as those that the statistics come from, so
that a value that is cut off somewhere (a ReLU6) shows."""

GRADIENTS = 1e-4
"""How far gradients may differ where they are not bit-equal, as the norm of the difference over
the norm: autograd may sum in another order."""
LOGITS = 1e-5
"""How far other ways to run a module may differ, over the largest logit, unless float32 itself
keeps the network from being computed as exactly."""
FOLDED = 1e-12
"""How far the deploy form may differ in float64: norm of the difference over norm."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify: where, on how many images, and what torch.compile compiles with."""

    device: str = "cpu"
    batch: int = 2
    backend: str = "inductor"

    def __post_init__(self) -> None:
        """Raises ValueError for less than two images, and for another backend."""
        if self.batch < 2:
            raise ValueError(f"`batch` must be at least 2, not {self.batch}")
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

    ``source`` is what to check, by default what archc emits; ``file`` is where it was read.
    Weights are freshly initialised unless there is a checkpoint. With ``deploy`` it is the
    network's deploy form, with folded weights. Raises `WeightsError` where the checkpoint does not
    fit, `DeviceError` for a device that is not there.
    """
    options = options or Options()
    told, weights = None, None
    if checkpoint is not None:
        told = describe(checkpoint, match(network, checkpoint, deploy=deploy))
        weights = weights_to_load(network, checkpoint, deploy=deploy)
    network = deploy_form(network) if deploy else network
    text = emit(network) if source is None else source
    done: dict[str, Row] = {}
    with on_device(options.device) as device, _as_it_was(device), _reproducible(device):
        subject = _Subject(network, text, weights, options, device, file)
        try:
            for row in _rows(subject):
                done[row.check] = row
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a source may raise anything
            ours = source is None and isinstance(error, Exception)
            if ours or isinstance(error, torch.OutOfMemoryError):
                raise
            done[CHECKS[0]] = subject.fails(error)
    rows = [done.get(check, Row.skipped(check)) for check in CHECKS]
    if told is not None:
        rows.insert(0, Row.of("weights", told))
    return Report(network.name, options.device, tuple(rows))


def _rows(subject: _Subject) -> Iterator[Row]:
    """The rows of the checks, up to one whose failure makes the rest impossible."""
    network = subject.network
    try:
        module = subject.fresh
        on_meta = copy.deepcopy(module).to("meta")
    except Exception as error:
        yield subject.fails(error)
        return
    lines = counted(subject.text.count("\n"), "line")
    taken = f", {type(module).__name__}" if subject.file else ""
    yield Row.of(CHECKS[0], lines + taken, check_modes(module))
    yield check_parameters(network, module)
    state = check_state(network, module)
    yield state
    if state.passed:
        yield check_initial_values(network, module)
    seen = observe(on_meta, network.input_shape)
    yield from (check_shapes(network, seen), check_multiply_adds(network, seen))
    if not state.passed:
        return
    yield from subject.training()
    inference = subject.inference()
    yield inference
    if inference.passed:
        yield subject.other_inputs()
        yield from (subject.export(), subject.compile(), subject.deploy())


@dataclass
class _Subject:
    """A module and the state that the interpreter runs with, on one device."""

    network: Network
    text: str
    weights: State | None
    options: Options
    device: torch.device
    file: str | None

    def fails(self, error: BaseException) -> Row:
        """The row of a source that cannot be run, with the line that it got to."""
        name = source_name(self.network.name, self.text, self.file)
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == name]
        where = f" (line {lines[-1]})" if lines else ""
        return Row.of(CHECKS[0], "", [Fault("", in_words(error) + where)])

    @cached_property
    def fresh(self) -> nn.Module:
        """The emitted module, in every run the same; `module` is it too, with its weights."""
        torch.manual_seed(0)
        usual = torch.get_default_dtype()
        try:
            fresh = instance(self.network.name, self.text, self.file)
        finally:
            found = torch.get_default_dtype()
            torch.set_default_dtype(usual)
        if found != usual:
            raise TypeError(f"it makes {found} torch's default type".replace("torch.", ""))
        return fresh

    @cached_property
    def given(self) -> State:
        """What the module is told to load, whatever it makes of that."""
        return self.weights or varied(self.network, self.fresh.state_dict())

    @cached_property
    def module(self) -> nn.Module:
        """The emitted module with the weights of the checkpoint, or with varied ones."""
        self.fresh.load_state_dict(self.given, strict=False)
        return self.fresh.to(self.device)

    @cached_property
    def images(self) -> Tensor:
        """Normally distributed images, the same in every run."""
        generator = torch.Generator().manual_seed(1)
        size = (self.options.batch, *self.network.input_shape)
        return torch.randn(size, generator=generator).to(self.device)

    def state(self, *, learns: bool = False) -> dict[str, Tensor]:
        """A copy of the module's state for the interpreter."""
        learned = dict(self.module.named_parameters())
        return {
            key: self.given.get(key, tensor)
            .detach()
            .to(tensor, copy=True)
            .requires_grad_(learns and key in learned)
            for key, tensor in self.module.state_dict().items()
        }

    def training(self) -> Iterator[Row]:
        """Values, running statistics and gradients of a training step; then the module's running
        statistics become those of the batch, unless they came with its weights."""
        before = self.state()
        state = self.state(learns=True)
        network, module = self.network, self.module
        module.train()
        images = self.images.clone().requires_grad_()
        expected = interpreter.run(network.graph, state, images, training=True)
        output, faults = follow(network, module, images, expected)
        if output is not None and not faults:
            yield self._gradients(output, expected[network.logits], state, images)
            yield self._statistics(state)
            faults += self._predict_in_training(expected[network.output])
        yield self._values("training", faults)
        del output, expected
        module.zero_grad()
        if self.weights is None:
            with torch.no_grad():
                interpreter.run(network.graph, before, self.images, training=True, momentum=1.0)
        self.given = before
        module.load_state_dict(before)

    def _predict_in_training(self, expected: Tensor) -> list[Fault]:
        """Dropout apart: there, only the ops of a forward drop the same elements."""
        network = self.network
        if any(isinstance(node.op, Dropout) for node in network.nodes.values()):
            return []
        with torch.no_grad():
            found = {network.output: expected.detach()}
            return list(check_predict(network, self.module, self.images, found))

    def _values(self, check: str, faults: Collection[Fault]) -> Row:
        ops = list(self.network.nodes).index(self.network.logits)
        return _bit_for_bit(check, counted(ops, "op"), faults)

    def _statistics(self, state: State) -> Row:
        buffers = dict(self.module.named_buffers())
        faults = self._changed(state)
        if not buffers and not faults:
            return Row.of("running statistics", "there are none")
        return _bit_for_bit("running statistics", counted(len(buffers), "buffer"), faults)

    def _changed(self, state: State) -> Collection[Fault]:
        """The layers whose parameters and buffers are not what they should be now."""
        faults: dict[str, Fault] = {}
        for key, found in [*self.module.named_parameters(), *self.module.named_buffers()]:
            layer, _, name = key.rpartition(".")
            expected = state.get(key)
            difference = "the graph has none"
            if expected is not None:
                difference = differs(found.detach(), expected.detach())
            if difference:
                faults.setdefault(layer, Fault(layer, f"`{name}`: {difference}"))
        return faults.values()

    def _gradients(self, output: Tensor, expected: Tensor, state: State, images: Tensor) -> Row:
        network, module = self.network, self.module
        probe = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
        probe = probe.to(self.device)
        torch.autograd.backward(expected, probe)
        of_images, images.grad = images.grad, None
        try:
            torch.autograd.backward(output, probe)
        except RuntimeError as error:
            fault = Fault(first_without_gradient(network, module), in_words(error))
            return Row.of("gradients", "fail", [fault])
        number, faults = compare_gradients(network, module, state, GRADIENTS)
        if not faults and (words := gradients_differ(images.grad, of_images, GRADIENTS)):
            faults.append(Fault("", f"the images' gradient {words}"))
        return Row.of("gradients", number if network.params else "nothing is learned", faults)

    @torch.no_grad()
    def inference(self) -> Row:
        """Values of a forward in eval mode."""
        images, module = LOUDER * self.images, self.module
        module.eval()
        expected = interpreter.run(self.network.graph, self.state(), images)
        _, faults = follow(self.network, module, images, expected)
        faults = faults or list(check_predict(self.network, module, images, expected))
        faults = faults or list(self._changed(self.state()))
        return self._values("inference", faults)

    @cached_property
    def logits(self) -> Tensor:
        """What the module returns in eval mode."""
        self.module.eval()
        with torch.no_grad():
            result: Tensor = self.module(self.images)
            return result

    @cached_property
    def exact(self) -> Tensor:
        """What the graph says in float64."""
        state = {key: t.double() if t.is_floating_point() else t for key, t in self.state().items()}
        with torch.no_grad():
            values = interpreter.run(self.network.graph, state, self.images.double())
        return values[self.network.logits]

    @cached_property
    def tolerance(self) -> float:
        """How far logits may differ: no less than float32 itself keeps them from what is exact."""
        return max(LOGITS, 4 * distance(self.logits, self.exact))

    def other_inputs(self) -> Row:
        """More images than one batch has, fewer, of other types, in another layout."""
        return check_inputs(
            self.network, self.module, self.images, self.logits, self.tolerance, GRADIENTS
        )

    def export(self) -> Row:
        """The program that torch.export makes, with a free batch size."""
        make = partial(exported, self.module, self.network)
        return self._other_way("torch.export", lambda: make().module(), batch_is_free=True)

    def compile(self) -> Row:
        """The whole module as one graph of torch.compile's."""
        torch.compiler.reset()
        return self._other_way(
            "torch.compile",
            lambda: torch.compile(self.module, backend=self.options.backend, fullgraph=True),
        )

    @torch.no_grad()
    def _other_way(
        self,
        check: str,
        make: Callable[[], Callable[[Tensor], Tensor]],
        *,
        batch_is_free: bool = False,
    ) -> Row:
        """Whether another way to run the module succeeds and agrees."""
        alone = self.images[:1]
        try:
            with quiet():
                run = make()
                pairs = [(run(self.images), self.logits)]
                if batch_is_free:
                    pairs.append((run(alone), self.module(alone)))
        except Exception as error:
            words = why_not(error)
            otherwise = "; `--backend aot_eager` needs none" * (words == NO_COMPILER)
            return Row.of(check, "fails", [Fault("", words + otherwise)])
        if all(torch.equal(output, expected) for output, expected in pairs):
            return Row.of(check, "bit for bit")
        far = max(distance(output, expected) for output, expected in pairs)
        number = f"within {far:.0e}"
        faults = [Fault("", f"is off by {far:.1e} of the largest logit")]
        return Row.of(check, number, faults if not far <= self.tolerance else [])

    @torch.no_grad()
    def deploy(self) -> Row:
        """The deploy form with folded weights, in float64."""
        found = foldings(self.network)
        if not found.count:
            return Row.of("deploy form", "no norm to fold")
        state = {key: t.double() if t.is_floating_point() else t for key, t in self.state().items()}
        folded = instance(self.network.name, emit(deploy_form(self.network)))
        folded = folded.double().to(self.device).eval()
        folded.load_state_dict(fold_weights(self.network, state))
        far = norm_distance(folded(self.images.double()), self.exact)
        kept = f", {len(found.kept)} kept" if found.kept else ""
        number = f"{counted(found.count, 'norm')} folded{kept}, within {far:.0e} in float64"
        faults = [Fault("", f"is off by {far:.1e} in float64, norm over norm")]
        return Row.of("deploy form", number, faults if not far <= FOLDED else [])


@torch.no_grad()
def varied(network: Network, state: State) -> State:
    """All weights, norms and biases, drawn away from the zeros and ones that they start as.

    Faults hide behind those, and behind whatever else a source may start its weights as. Of a
    norm's weights and biases some are negative, as in networks that were trained.

    While half of all relus are closed, a deep plain network is chaotic: 110 layers with norms
    amplify a rounding error a hundred million times, so that nothing but the same bits can agree
    (Yang et al. 2019, "A mean field theory of batch normalization"). With shifts around 1 most
    relus are open, as in networks that can be trained.
    """
    drawn = {}
    for node in network.nodes.values():
        weight, bias = (f"{node.id}.{name}" for name in ("weight", "bias"))
        if isinstance(node.op, BatchNorm2d):
            for key, first in ((weight, 0), (bias, 1)):
                drawn[key] = nn.init.normal_(torch.empty_like(state[key]), 1, 0.2)
                drawn[key][first::16] *= -1
        elif isinstance(node.op, (Conv2d, Linear)):
            drawn[weight] = nn.init.kaiming_normal_(torch.empty_like(state[weight]))
            if bias in state:
                drawn[bias] = nn.init.normal_(torch.empty_like(state[bias]), 0, 0.1)
    return drawn


def _bit_for_bit(check: str, what: str, faults: Collection[Fault]) -> Row:
    return Row.of(check, "differs" if faults else f"{what} bit for bit", faults)


@contextmanager
def _as_it_was(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers, and whether gradients are taken, as they are."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
        yield


_CUDNN = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
"""All that `torch.backends.cudnn.flags` sets: what is left out is turned off, cuDNN itself too."""


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """On CUDA, only algorithms that give the same bits every time, as far as there are some."""
    if device.type != "cuda":
        yield
        return
    import os

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        with quiet(), torch.backends.cudnn.flags(**_CUDNN):
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
