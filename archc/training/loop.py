"""Iterations: step, report, test, save, in this order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.dataclassing import dataclass
from archc.devices import peak_memory
from archc.errors import Interrupted, OutputError, TrainingError
from archc.recipes import Recipe
from archc.training.averages import Averages
from archc.training.checkpoints import Saved, save
from archc.training.data import Data
from archc.training.fine_tuning import freeze
from archc.training.initialize import initial_module
from archc.training.metrics import Row, append
from archc.training.order import seed_of
from archc.training.run import Run
from archc.training.schedule import Schedule
from archc.training.testing import Score, score

if TYPE_CHECKING:
    from lightning_fabric import Fabric

REPORT_EVERY = 100
"""Over how many iterations the training error is taken."""

ASK_EVERY = 10
"""After how many iterations several processes ask each other whether to stop."""

_LOOK_EVERY = 1.0
"""Seconds between two reports of the progress to an observer."""


@dataclass(frozen=True)
class Progress:
    """How far training is; errors in percent, of the iterations since the last report."""

    iteration: int
    iterations: int
    learning_rate: float
    training_loss: float | None = None
    training_error: float | None = None
    test_error: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    peak_memory: int | None = None
    """Bytes: of the device where that is a GPU, otherwise of the process."""


class Observer(Protocol):
    """Receives the progress, in the first process."""

    def advanced(self, progress: Progress) -> None:
        """Iterations are done."""

    def tested(self, progress: Progress) -> None:
        """The test error is known."""

    def said(self, words: str) -> None:
        """Something that a user should know."""


class Silent:
    """An observer that keeps what it sees to itself."""

    def advanced(self, progress: Progress) -> None:
        """Nothing."""

    def tested(self, progress: Progress) -> None:
        """Nothing."""

    def said(self, words: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Task:
    """What is trained and where it is kept; ``about`` is the metadata of its weights' files.

    ``start`` are weights that it begins with where there is no checkpoint, by key, some or all of
    the network's; ``frozen`` are the keys of what is not trained.
    """

    network: archc.Network
    recipe: Recipe
    run: Run
    seed: int
    compile: bool = False
    about: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Tensor] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()


class Asked:
    """Whether a signal has asked to stop, and which."""

    signal: int = 0


class _Stop(Exception):
    """Training is to stop here."""


class _Objective(nn.Module):
    """A network with its loss: one graph for torch.compile."""

    def __init__(self, net: nn.Module, label_smoothing: float, sides: Sequence[float] = ()):
        super().__init__()
        self.net, self.label_smoothing, self.sides = net, label_smoothing, tuple(sides)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy, with that of each side head times its weight; and the sum of the
        logits' own with how many images are classified wrongly."""
        logits, *others = self.net(images) if self.sides else (self.net(images),)
        own = loss = self._loss(logits, labels)
        for weight, side in zip(self.sides, others, strict=True):
            loss = loss + weight * self._loss(side, labels)
        wrong = (logits.detach().argmax(1) != labels).sum()
        return loss, torch.stack([own.detach().double() * len(labels), wrong.double()])

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)


class Loop:
    """A network on its way through a recipe, from a checkpoint or from its beginning."""

    def __init__(
        self,
        task: Task,
        fabric: Fabric,
        data: Data,
        saved: Saved | None,
        observer: Observer,
        asked: Asked,
    ):
        self._task, self._fabric, self._data = task, fabric, data
        self._observer, self._asked = observer, asked
        self._header = task.recipe.header
        self.iteration = saved.iteration if saved else 0
        self._saved_at = self.iteration if saved else None
        self._is_saved = saved is not None
        state: Mapping[str, Any] = saved.state if saved else {}
        self._tested_at = state.get("tested_at", 0)
        self.test = Score(**state["test"]) if state.get("test") else None
        self._schedule = (
            Schedule.restore(task.recipe, state["schedule"])
            if saved
            else Schedule.begin(task.recipe, task.network.layers)
        )
        # Of the training since the last report: the loss and the wrong images, and all images.
        self._sums = self._share_of(state.get("sums", [0.0, 0.0]))
        self._seen = state.get("seen", 0) // fabric.world_size
        self._has_dropout = any(node.op.trains_only for node in task.network.nodes.values())
        self._set_up(saved)
        self._begun = self._marked = self._looked = time.perf_counter()
        self._first, self._paused = self.iteration, 0.0
        self._marked_at = self.iteration
        self._last = Progress(self.iteration, self._header.iterations, self._rate())

    def _set_up(self, saved: Saved | None) -> None:
        """The module and its optimizer, on the device and in every process."""
        task, recipe = self._task, self._task.recipe
        net = initial_module(task.network, recipe, task.seed)
        if saved is not None:
            net.load_state_dict(saved.weights)
        elif task.start:
            net.load_state_dict(task.start, strict=False)
        self.net = net.to(self._fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not any(True for _ in self.net.parameters()):
            raise TrainingError(f"{task.network.name} has no parameters to train")
        freeze(self.net, task.frozen)
        self._optimizer = torch.optim.SGD(
            [one for one in self.net.parameters() if one.requires_grad],
            lr=recipe.learning_rate.initial,
            momentum=recipe.optimizer.momentum,
            weight_decay=recipe.optimizer.weight_decay,
            nesterov=recipe.optimizer.nesterov and recipe.optimizer.momentum > 0,
            fused=True,
        )
        if saved is not None:
            self._restore_momentum(saved.momentum)
        self._set_up_averages(saved)
        weights = [side.weight for side in task.network.sides]
        objective: nn.Module = _Objective(self.net, recipe.header.label_smoothing or 0.0, weights)
        if task.compile:
            torch.compiler.reset()
            graphs = self._fabric.device.type == "cuda"
            objective.compile(options={"triton.cudagraphs": graphs})
        self._objective, self._stepper = self._fabric.setup(objective, self._optimizer)

    def _set_up_averages(self, saved: Saved | None) -> None:
        """The averages of the weights, where the recipe asks for some."""
        decay = self._header.ema_decay
        self._averages = None if decay is None else Averages(self.net, decay)
        if self._averages is not None and saved is not None and saved.averaged is not None:
            self._averages.restore(saved.averaged)

    @property
    def result(self) -> nn.Module:
        """What is tested and kept: the averages of the weights, or else the network itself."""
        return self.net if self._averages is None else self._averages.module

    def _share_of(self, sums: list[float]) -> Tensor:
        """This process's part of sums over all."""
        whole = torch.tensor(sums, dtype=torch.float64, device=self._fabric.device)
        return whole / self._fabric.world_size

    def _restore_momentum(self, momentum: Mapping[str, Tensor]) -> None:
        for name, parameter in self.net.named_parameters():
            if name in momentum:
                buffer = torch.empty_like(parameter).copy_(momentum[name])
                self._optimizer.state[parameter]["momentum_buffer"] = buffer

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.iteration >= self._header.iterations and self._tested_at == self.iteration

    def run(self) -> None:
        """Train to the recipe's end, saving on the way; raises `Interrupted` having saved.

        Raises `TrainingError` if the loss is no longer finite, `OutputError` if something cannot be
        written; checkpoints stay as they are.
        """
        try:
            self._test_if_due()
            for images, labels in self._data.batches(self.iteration, self._header.iterations):
                self.step(images, labels)
                self.iteration += 1
                if self._is_due(REPORT_EVERY):
                    self._report()
                self._test_if_due()
                if self._is_due(self._header.checkpoint_every):
                    self._save()
                self._look()
                self._stop_if_asked()
        except _Stop:
            self._save()
            self._fabric.barrier()
            raise Interrupted(self.iteration, self._asked.signal) from None
        self._save()  # where the last test was interrupted, and is done now

    def _is_due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.iteration == self._header.iterations

    def _rate(self) -> float:
        # At the end that of the last iteration: there is no next one.
        return self._schedule.rate(min(self.iteration, self._header.iterations - 1))

    def step(self, images: Tensor, labels: Tensor) -> None:
        """Forward, backward and the optimizer's step, with the learning rate of the iteration."""
        rate = self._rate()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if self._has_dropout:
            part = self._fabric.global_rank
            torch.manual_seed(seed_of(self._task.seed, "dropout", self.iteration, part))
        if self._task.compile:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        loss, sums = self._objective(images, labels)
        self._fabric.backward(loss)
        self._stepper.step()
        self._stepper.zero_grad()
        if self._averages is not None:
            self._averages.update(self.iteration + 1)
        self._is_saved = False
        self._sums += sums
        self._seen += len(labels)

    def _report(self) -> None:
        """Take the training error since the last report; all processes together."""
        loss, error = self._means(self._all(self._sums), self._seen * self._fabric.world_size)
        self._schedule.trained(error)
        self._sums, self._seen = torch.zeros_like(self._sums), 0
        speed = self._speed()
        self._marked, self._marked_at, self._paused = time.perf_counter(), self.iteration, 0.0
        self._last = replace(
            self._progress(), training_loss=loss, training_error=error, images_per_second=speed
        )
        row = self._row(training_loss=loss, training_error=error, images_per_second=speed)
        self._together(lambda: append(self._task.run.metrics, row))
        self._observe(self._last)

    def _means(self, sums: Tensor, images: int) -> tuple[float, float]:
        """The mean loss and the error in percent; raises `TrainingError` if it is not a number."""
        loss, wrong = sums.tolist()
        if not math.isfinite(loss):
            self._fail_for_numbers("the loss is not finite")
        return loss / images, 100 * wrong / images

    def _fail_for_numbers(self, what: str) -> NoReturn:
        """End training, in all processes at once: all of them see the same numbers."""
        self._fabric.barrier()
        kept = self._saved_at
        saved = f"the checkpoint of iteration {kept:,} is kept" if kept else "nothing was saved yet"
        raise TrainingError(
            f"{what} at iteration {self.iteration:,}, with a learning rate of {self._rate():g}",
            f"try a smaller learning rate or a warm-up; {saved}",
        )

    def _test_if_due(self) -> None:
        """Measure the test error where it is to be measured and has not been."""
        if not self.iteration or self._tested_at == self.iteration:
            return
        if not self._is_due(self._header.evaluate_every):
            return
        started = time.perf_counter()
        self._share_buffers()
        found = score(
            self.result,
            self._data,
            autocast=self._fabric.autocast,
            total=self._all,
            go_on=self._stop_if_asked if self._fabric.world_size == 1 else lambda: None,
        )
        self._paused += time.perf_counter() - started
        freeze(self.net, self._task.frozen)  # the test has made its norms train again
        self._schedule.tested(found.error)
        self.test, self._tested_at, self._is_saved = found, self.iteration, False
        self._last = replace(self._progress(), test_error=found.error)
        row = self._row(test_loss=found.loss, test_error=found.error)
        self._together(lambda: append(self._task.run.metrics, row))
        if self._fabric.is_global_zero:
            self._observer.tested(self._last)

    def _share_buffers(self) -> None:
        """Test with the first process's running statistics, which are those that are saved."""
        if self._fabric.world_size > 1:
            for buffer in (*self.net.buffers(), *self.result.buffers()):
                buffer.copy_(self._fabric.broadcast(buffer))

    def _save(self) -> None:
        """Write a checkpoint, unless there is one already of all that is done."""
        if self._is_saved:
            return
        started = time.perf_counter()
        weights = _on_cpu(self.net)
        broken = not all(bool(one.isfinite().all()) for one in weights.values())
        if self._all(torch.tensor(float(broken), device=self._fabric.device)) > 0:
            self._fail_for_numbers("a weight is not finite")
        names = {parameter: name for name, parameter in self.net.named_parameters()}
        momentum = {
            names[parameter]: state["momentum_buffer"].cpu()
            for parameter, state in self._optimizer.state.items()
            if state.get("momentum_buffer") is not None
        }
        state = {
            "schedule": self._schedule.state(),
            "sums": self._all(self._sums).tolist(),
            "seen": self._seen * self._fabric.world_size,
            "tested_at": self._tested_at,
            "test": vars(self.test) if self.test else None,
        }
        averaged = None if self._averages is None else _on_cpu(self._averages.module)
        saved = Saved(self.iteration, weights, momentum, state, averaged)
        self._together(lambda: save(self._task.run.checkpoints, saved, self._task.about))
        self._saved_at, self._is_saved = self.iteration, True
        self._paused += time.perf_counter() - started

    def _look(self) -> None:
        """Tell an observer now and then, also where reports are rare."""
        if time.perf_counter() - self._looked < _LOOK_EVERY or not self._fabric.is_global_zero:
            return
        self._last = self._progress()
        loss, wrong = self._sums.tolist()
        if self._seen and math.isfinite(loss):
            self._last = replace(
                self._last,
                training_loss=loss / self._seen,
                training_error=100 * wrong / self._seen,
                images_per_second=self._speed(),
            )
        self._observe(self._last)

    def _speed(self) -> float:
        """Images per second since the last report, without what tests and checkpoints took."""
        images = (self.iteration - self._marked_at) * self._header.batch
        return images / max(time.perf_counter() - self._marked - self._paused, 1e-9)

    def _observe(self, progress: Progress) -> None:
        self._looked = time.perf_counter()
        if self._fabric.is_global_zero:
            self._observer.advanced(progress)

    def _progress(self) -> Progress:
        done, total = self.iteration - self._first, self._header.iterations
        spent = time.perf_counter() - self._begun
        left = spent / done * (total - self.iteration) if done else None
        return replace(
            self._last,
            iteration=self.iteration,
            learning_rate=self._rate(),
            seconds_left=left,
            peak_memory=peak_memory(self._fabric.device),
        )

    def _row(self, **measured: float) -> Row:
        epoch = self.iteration * self._header.batch / self._data.training_images
        # The rate that the last iteration was made with.
        rate = self._optimizer.param_groups[0]["lr"]
        spent = time.perf_counter() - self._begun
        return Row(self.iteration, epoch, rate, seconds=spent, **measured)

    def _stop_if_asked(self) -> None:
        """Stop where a signal has asked for it; several processes stop together."""
        if self._fabric.world_size == 1:
            if self._asked.signal:
                raise _Stop
        elif self.iteration % ASK_EVERY == 0:
            mine = torch.tensor(float(self._asked.signal), device=self._fabric.device)
            most = self._fabric.all_reduce(mine, reduce_op="max")
            assert isinstance(most, Tensor)
            self._asked.signal = int(most)
            if self._asked.signal:
                raise _Stop

    def _all(self, sums: Tensor) -> Tensor:
        """Sums over all processes."""
        if self._fabric.world_size == 1:
            return sums
        total = self._fabric.all_reduce(sums.clone(), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    def _together(self, write: Callable[[], None]) -> None:
        together(self._fabric, write)


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.cpu() for key, tensor in module.state_dict().items()}


def together(fabric: Fabric, write: Callable[[], None]) -> None:
    """Have the first process write; where it cannot, all end, and the first one says why."""
    if fabric.world_size == 1:
        write()
        return
    failed: Exception | None = None
    if fabric.is_global_zero:
        try:
            write()
        except (OutputError, TrainingError, archc.WeightsError) as error:
            failed = error
    if fabric.broadcast(failed is not None):
        fabric.barrier()
        raise failed or SystemExit(1)
