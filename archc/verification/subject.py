"""A module beside the interpreter, with the same weights, and the other ways to run it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn

from archc.backends.numbers import counted
from archc.backends.pytorch import emit
from archc.beside import joined, others
from archc.graph import Network, deploy_form, foldings, key_of
from archc.live import instance
from archc.ops import BatchNorm2d, Role
from archc.running import NO_COMPILER, fault_of, quiet, why_not
from archc.verification import interpreter
from archc.verification.inputs import check_inputs
from archc.verification.report import Fault, Row
from archc.verification.structure import returned
from archc.verification.values import (
    Outputs,
    changed,
    check_predict,
    compare_gradients,
    distance,
    first_without_gradient,
    follow,
    gradients_differ,
    norm_distance,
)
from archc.weights import fold_weights

State: TypeAlias = Mapping[str, Tensor]

LOUDER = 8
"""How many times as large the images are in eval mode as those that the statistics come from, so
that a value that is cut off somewhere (a ReLU6) shows."""

GRADIENTS = 1e-4
"""How far gradients may differ where they are not bit-equal, as the norm of the difference over
the norm: autograd may sum in another order."""
LOGITS = 1e-5
"""How far other ways to run a module may differ, over the largest logit: in float32, or where that
is too coarse, in float64."""
FOLDED = 1e-12
"""How far the deploy form may differ in float64, unless that is too coarse: norm of the difference
over norm."""


class Subject:
    """A module of a network, and the state that the interpreter runs it with, on one device.

    ``weights`` are those of a checkpoint. Without them the module is told to load varied ones, and
    after a training step has the running statistics of its images.
    """

    def __init__(self, network: Network, module: nn.Module, weights: State | None, images: Tensor):
        self.network, self.module, self.images = network, module, images
        self._settles = weights is None
        self._load(varied(network, module.state_dict()) if weights is None else weights)
        self.module = module.to(images.device)

    def _load(self, state: State) -> None:
        """Tell the module to load a state, whatever it makes of that."""
        self._given = state
        self.module.load_state_dict(state, strict=False)

    def state(self, *, learns: bool = False) -> dict[str, Tensor]:
        """A copy of the module's state for the interpreter."""
        learned = dict(self.module.named_parameters())
        return {
            key: self._given.get(key, tensor)
            .detach()
            .to(tensor, copy=True)
            .requires_grad_(learns and key in learned)
            for key, tensor in self.module.state_dict().items()
        }

    def check_training(self) -> Iterator[Row]:
        """Values, running statistics and gradients of a training step; then the module's running
        statistics become those of the batch, unless they came with its weights."""
        before = self.state()
        state = self.state(learns=True)
        network, module = self.network, self.module
        module.train()
        images = self.images.clone().requires_grad_()
        expected = interpreter.run(network.graph, state, images, training=True)
        output, faults = follow(network, module, images, expected)
        others: list[Row] = []
        if output is not None and not faults:
            gradients = self._gradients(output, expected, state, images)
            others = [self._statistics(state), gradients]
            faults += self._predict_in_training(expected[network.output])
        yield self._values("training", faults)
        yield from others
        del output, expected
        module.zero_grad()
        if self._settles:
            self._settle(before, state)
        self._load(before)

    @torch.no_grad()
    def _settle(self, before: dict[str, Tensor], after: State) -> None:
        """Give a state the statistics of the batch that has moved those of another, ``after`` it.

        So there are values of usual size in eval mode, too. That they are the batch's up to
        rounding is enough.
        """
        for node in self.network.nodes.values():
            if not isinstance(node.op, BatchNorm2d) or not node.op.momentum:
                continue
            kept = 1 - node.op.momentum
            for name in node.op.buffers:
                key, role = key_of(node.id, name), node.op.roles[name]
                if role in (Role.MEAN, Role.VARIANCE):
                    before[key] = (after[key] - kept * before[key]) / (1 - kept)
                if role is Role.VARIANCE:
                    before[key].clamp_(min=0)

    def _predict_in_training(self, expected: Tensor) -> list[Fault]:
        """Dropout apart: there, only the ops of a forward drop the same elements."""
        network = self.network
        if any(node.op.trains_only for node in network.nodes.values()):
            return []
        with torch.no_grad():
            found = {network.output: expected.detach()}
            return list(check_predict(network, self.module, self.images, found))

    def _values(self, check: str, faults: Collection[Fault]) -> Row:
        network = self.network if check == "training" else self.network.inference
        ops = len(network.nodes) - 1 - (network.output != network.logits)
        return _bit_for_bit(check, counted(ops, "op"), faults)

    def _statistics(self, state: State) -> Row:
        buffers = dict(self.module.named_buffers())
        faults = changed(self.network, self.module, state)
        if not buffers and not faults:
            return Row.of("running statistics", "the network has none")
        return _bit_for_bit("running statistics", counted(len(buffers), "buffer"), faults)

    def _gradients(self, outputs: Outputs, expected: State, state: State, images: Tensor) -> Row:
        network, module = self.network, self.module
        outputs = {id: one for id, one in outputs.items() if expected[id].requires_grad}
        if not outputs:
            return Row.of("gradients", "nothing that the network puts out has any")
        # As scalars: for anything else torch imports what it computes symbolic shapes with.
        self._probed({id: expected[id] for id in outputs}).backward()  # type: ignore[no-untyped-call]
        of_images, images.grad = images.grad, None
        try:
            self._probed(outputs).backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            fault = Fault(first_without_gradient(network, module), fault_of(error))
            return Row.of("gradients", "fail", [fault])
        number, faults = compare_gradients(network, module, state, GRADIENTS)
        if not faults and (words := gradients_differ(images.grad, of_images, GRADIENTS)):
            faults.append(Fault("", f"the images' gradient {words}"))
        return Row.of(
            "gradients", number if network.params else "the network has no parameters", faults
        )

    def _probed(self, outputs: Outputs) -> Tensor:
        """A sum of all outputs, in which each of their elements counts differently."""
        generator = torch.Generator().manual_seed(2)
        probed = []
        for one in outputs.values():
            probe = torch.randn(one.shape, generator=generator).to(self.images.device)
            probed.append((one * probe).sum())
        first, *others = probed
        for one in others:
            first = first + one
        return first

    @torch.no_grad()
    def check_inference(self) -> Row:
        """Values of a forward in eval mode."""
        images, module = LOUDER * self.images, self.module
        module.eval()
        # Whether a weight is learned decides which kernel multiplies it, without gradients too.
        expected = interpreter.run(self.network.graph, self.state(learns=True), images)
        _, faults = follow(self.network, module, images, expected)
        faults = faults or list(check_predict(self.network, module, images, expected))
        faults = faults or list(changed(self.network, module, self.state()))
        return self._values("inference", faults)

    @cached_property
    def logits(self) -> Tensor:
        """What the module returns in eval mode."""
        self.module.eval()
        with torch.no_grad():
            return joined(self.module(self.images, *others(self.network, self.images)))

    @cached_property
    def exact(self) -> Tensor:
        """What the graph says in float64."""
        return self._exactly(in_double(self.state()), self.images.double())

    @torch.no_grad()
    def _exactly(self, state: State, images: Tensor) -> Tensor:
        values = interpreter.run(self.network.graph, state, images)
        found = [values[id] for id in returned(self.network)]
        return joined(found if len(found) > 1 else found[0])

    @torch.no_grad()
    def agrees(self, far: float, in_float64: Callable[[], Tensor]) -> bool:
        """Whether logits are near enough, by how far they differ, over the largest.

        Where they are not, float64 decides: what rounding makes of float32 is gone there, as of
        logits that are a small difference of large values, and a fault is not.
        """
        return far <= LOGITS or distance(in_float64(), self.exact) <= LOGITS

    def check_other_inputs(self) -> Row:
        """More images than one batch has, fewer, of other types, in another layout."""
        return check_inputs(
            self.network, self.module, self.images, self.logits, self.agrees, GRADIENTS
        )

    def check_export(self) -> Row:
        """The program that torch.export makes, with a free batch size."""
        from archc.exporting import exported  # which imports torch.export

        return self._other_way(
            "torch.export",
            lambda module: exported(module, self.network).module(),
            batch_is_free=True,
        )

    def check_compile(self, backend: str) -> Row:
        """The whole module as one graph of torch.compile's, with one of its backends."""
        torch.compiler.reset()
        return self._other_way(
            "torch.compile", lambda module: torch.compile(module, backend=backend, fullgraph=True)
        )

    @torch.no_grad()
    def _other_way(
        self,
        check: str,
        make: Callable[[nn.Module], Callable[..., object]],
        *,
        batch_is_free: bool = False,
    ) -> Row:
        """Whether another way to run the module succeeds and agrees."""
        alone = self.images[:1]

        def of(run: Callable[..., object], images: Tensor) -> Tensor:
            return joined(run(images, *others(self.network, images)))

        def in_float64() -> Tensor:
            return of(make(copy.deepcopy(self.module).double()), self.images.double())

        try:
            with quiet():
                run = make(self.module)
                pairs = [(of(run, self.images), self.logits)]
                if batch_is_free:
                    pairs.append((of(run, alone), of(self.module, alone)))
                if all(torch.equal(output, expected) for output, expected in pairs):
                    return Row.of(check, "bit for bit")
                far = max(distance(output, expected) for output, expected in pairs)
                agrees = self.agrees(far, in_float64)
        except Exception as error:
            words = why_not(error)
            if words == NO_COMPILER:
                words += "; the backend `aot_eager` needs none"
            return Row.of(check, "fails", [Fault("", words)])
        number = f"within {far:.0e}"
        if not agrees:
            return Row.of(check, number, [Fault("", f"is off by {far:.1e} of the largest logit")])
        return Row.of(check, f"{number}, nearer in float64" if far > LOGITS else number)

    @torch.no_grad()
    def check_deploy(self) -> Row:
        """The deploy form with folded weights, in float64."""
        found = foldings(self.network)
        if not found.count:
            return Row.of("deploy form", "the network has no norm to fold")
        with torch.device("meta"):  # its own weights would be drawn in vain
            folded = instance(self.network.name, emit(deploy_form(self.network)))
        weights = fold_weights(self.network, in_double(self.state()))
        folded.eval().load_state_dict(weights, assign=True)
        alone = self.images[:1].double()
        exact = self._exactly(in_double(self.state()), alone)
        found_now = joined(folded(alone, *others(self.network, alone)))
        far = norm_distance(found_now, exact)
        kept = f", {len(found.kept)} kept" if found.kept else ""
        number = f"{counted(found.count, 'norm')} folded{kept}, within {far:.0e} in float64"
        fault = Fault("", f"is off by {far:.1e} in float64, norm over norm")
        if far <= FOLDED:
            return Row.of("deploy form", number)
        if far <= 16 * self._moved_by_rounding(alone, exact):
            return Row.of("deploy form", f"{number}, as rounding allows")
        return Row.of("deploy form", number, [fault])

    @torch.no_grad()
    def _moved_by_rounding(self, images: Tensor, exact: Tensor) -> float:
        """How far the exact logits move where each weight does by as much as float64 rounds it, the
        norm of the difference over the norm: folding rounds them. The most of a few tries."""
        generator = torch.Generator().manual_seed(3)
        rounding = torch.finfo(torch.float64).eps / 2
        moved = []
        for _ in range(4):
            state = in_double(self.state())
            for tensor in state.values():
                if tensor.is_floating_point():
                    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                    tensor *= 1 + rounding * noise.to(tensor.device)
            moved.append(norm_distance(self._exactly(state, images), exact))
        return max(moved)


def in_double(state: State) -> dict[str, Tensor]:
    """A state in float64, but for what counts."""
    return {key: one.double() if one.is_floating_point() else one for key, one in state.items()}


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
        for name in node.op.state:
            key, role = key_of(node.id, name), node.op.roles[name]
            if role is Role.KERNEL:
                drawn[key] = nn.init.kaiming_normal_(torch.empty_like(state[key]))
            elif role is Role.BIAS:
                drawn[key] = nn.init.normal_(torch.empty_like(state[key]), 0, 0.1)
            elif role in (Role.SCALE, Role.SHIFT):
                drawn[key] = nn.init.normal_(torch.empty_like(state[key]), 1, 0.2)
                drawn[key][int(role is Role.SHIFT) :: 16] *= -1
    return drawn


def _bit_for_bit(check: str, what: str, faults: Collection[Fault]) -> Row:
    return Row.of(check, "differs" if faults else f"{what} bit for bit", faults)
