"""Programs that were exported in training mode, whose norms mix the images of a batch."""

from __future__ import annotations

from archc.frontends.program import ForeignError, Program, Ref

_NORMS = frozenset(
    [
        *("aten.batch_norm", "aten.native_batch_norm", "aten._native_batch_norm_legit"),
        *("aten._native_batch_norm_legit_functional", "aten.cudnn_batch_norm"),
    ]
)


def require_eval_mode(program: Program, name: str) -> Program:
    """The program. Raises `ForeignError` where its batch norms have averages and do not use them:
    ``name`` is what the user calls it."""
    training = [
        call
        for call in program.calls
        if call.target in _NORMS
        and call.arguments.get("training") is True
        and isinstance(call.arguments.get("running_mean"), Ref)
    ]
    if not training:
        return program
    count = len(training)
    norms = "its batch norm takes" if count == 1 else f"its {count:,} batch norms take"
    raise ForeignError(
        f"{name} was exported in training mode: {norms} the statistics of the batch",
        "export it in eval mode: call `model.eval()` before `torch.export.export`",
    )
