"""An emitted module beside the model of another library that its network was made of."""

from __future__ import annotations

import torch
from torch import Tensor

from archc.beside import joined, others
from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.graph import Network
from archc.graph.network import Model
from archc.running import fault_of
from archc.verification.report import ORIGINAL, Fault, Row
from archc.verification.subject import LOGITS, Subject
from archc.verification.values import distance

ELSEWHERE = 1e-4
"""How far logits may differ, over the largest, from those of another library's kernels, which sum
in float32 in another order, or of weights that an exporter has folded in float32."""


@dataclass(frozen=True)
class Original:
    """A network's own model; ``is_own`` is whether its weights are used, ``folded`` whether in the
    deploy form."""

    model: Model
    is_own: bool
    folded: bool

    @torch.no_grad()
    def check(self, network: Network, subject: Subject) -> Row:
        """Whether the module puts out what the model does, where that can be run."""
        if not self.model.has_weights:
            return Row(ORIGINAL, None, "it has no weights")
        if not self.is_own:
            return Row(ORIGINAL, None, "the weights are not its own")
        try:
            run = self.model.original()
        except (ArchcError, ModuleNotFoundError) as error:
            return Row(ORIGINAL, None, str(error))
        images = subject.images.cpu()
        if run.batch is not None:
            images = images.repeat(-(-run.batch // len(images)), 1, 1, 1)[: run.batch]
        try:
            results = run(images, *others(network, images))
            expected = joined(results if len(network.outputs) > 1 else results[0])
        except Exception as error:  # whatever the code of a module raises
            return Row.of(ORIGINAL, "fails", [Fault("", f"the original: {fault_of(error)}")])
        found = self._put_out(network, subject, images).cpu()
        if found.shape != expected.shape:
            shapes = ["x".join(map(str, one.shape)) for one in (found, expected)]
            fault = f"puts out {shapes[0]}, the original {shapes[1]}"
            return Row.of(ORIGINAL, "differs", [Fault("", fault)])
        if torch.equal(found, expected):
            return Row.of(ORIGINAL, "bit for bit")
        far = distance(found, expected)
        bound = LOGITS if run.is_torch and not self.folded else ELSEWHERE
        faults = [Fault("", f"is off by {far:.1e} of the largest of the original's logits")]
        return Row.of(ORIGINAL, f"within {far:.0e}", faults if not far <= bound else [])

    def _put_out(self, network: Network, subject: Subject, images: Tensor) -> Tensor:
        module = subject.module.eval()
        images = images.to(subject.images.device)
        run = module if network.logits == network.output else module.predict
        # It is `predict` of a network with a softmax.
        return joined(run(images, *others(network, images)))  # type: ignore[operator]
