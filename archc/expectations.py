"""Whether a network is as its spec expects."""

from __future__ import annotations

from collections.abc import Iterator

from archc.backends.numbers import exactly, in_bytes
from archc.graph import Network
from archc.source.diagnostics import Diagnostic, SpecError
from archc.spec import Spec
from archc.spec.expect import ExpectedCount, ExpectedMemory

CODE = "unmet-expectation"


def check_expectations(spec: Spec, network: Network) -> None:
    """Raise `SpecError` with every expectation of a spec that its network does not meet.

    They are of the spec as it is written: where the caller sets something, nothing is checked.
    """
    if spec.expected and spec.is_as_written and (found := list(_unmet(spec, network))):
        raise SpecError(found)


def _unmet(spec: Spec, network: Network) -> Iterator[Diagnostic]:
    for one in spec.expected:
        if isinstance(one, ExpectedCount):
            number = getattr(network, one.name)
            if not one.holds(number):
                yield Diagnostic(one.place, _of_count(one, number), code=CODE)
        elif (fault := _of_memory(one, network)) is not None:
            yield fault


def _of_count(one: ExpectedCount, number: int) -> str:
    """What number there is, and by how much it differs."""
    if one.low is not None and number < one.low:
        difference = f"{exactly(one.low - number)} too few"
    else:
        assert one.high is not None
        difference = f"{exactly(number - one.high)} too many"
    wanted = one.words
    if one.step is not None:
        return f"`{one.name}` is {exactly(number)}, which does not round to {wanted}"
    if one.low == one.high and wanted.replace("_", "").isdigit():
        wanted = exactly(int(wanted.replace("_", "")))
    return f"`{one.name}` is {exactly(number)}, not {wanted}: {difference}"


def _of_memory(one: ExpectedMemory, network: Network) -> Diagnostic | None:
    """What a batch takes, if that is not below what is expected, and which batch would fit."""
    from archc.analysis.moments import inference_moments, training_moments

    if one.optimizer is None:
        moments = inference_moments(network, one.dtype)
    else:
        (moments,) = training_moments(network, one.dtype, [one.optimizer])
    most, _ = moments.peak(one.batch)
    if most < one.below:
        return None
    largest = moments.largest_batch(one.below - 1)
    fits = f"the largest batch that fits is {exactly(largest)}" if largest else "no batch fits"
    needs = f"`{one.name}` is {in_bytes(most)} for a batch of {exactly(one.batch)}"
    message = f"{needs}, not below {one.words}: {in_bytes(most - one.below)} too much"
    return Diagnostic(one.place, message, fits, code=CODE)
