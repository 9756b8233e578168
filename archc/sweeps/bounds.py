"""What a sweep keeps, and in which order: ``multiply_adds=4G``, ``-params``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from operator import itemgetter

from archc.dataclassing import dataclass
from archc.source.diagnostics import Findings, fail
from archc.source.suggest import closest
from archc.spec import Place, Source
from archc.sweeps.costs import Numbers
from archc.sweeps.plan import METRICS
from archc.text import listing, quote

_SUFFIXES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12, "P": 15}
_OTHER_NAMES = {
    "parameters": "params",
    "flops": "multiply_adds",
    "macs": "multiply_adds",
    "multiply-adds": "multiply_adds",
    "depth": "layers",
}


@dataclass(frozen=True)
class Bounds:
    """The least and the most that each of `METRICS` may be; None is no bound."""

    least: tuple[Fraction | None, ...]
    most: tuple[Fraction | None, ...]

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return any(bound is not None for bound in (*self.least, *self.most))

    def admit(self, numbers: Numbers) -> bool:
        """Whether a variant's numbers lie within."""
        for low, value, high in zip(self.least, numbers, self.most, strict=True):
            if (low is not None and value < low) or (high is not None and value > high):
                return False
        return True


def parse_bounds(least: Iterable[str], most: Iterable[str]) -> Bounds:
    """Bounds as ``--min`` and ``--max`` give them; raises `SpecError` with every mistake."""
    findings = Findings()
    rows = [_parse("--min", least, findings), _parse("--max", most, findings)]
    findings.check()
    return Bounds(*(tuple(row.get(name) for name in METRICS) for row in rows))


def parse_order(text: str) -> Callable[[Numbers], int]:
    """What to sort by, as ``--sort`` gives it: least first, or with ``-`` most first."""
    descends = text.startswith("-")
    name = text.removeprefix("-")
    if name not in METRICS:
        place = Place(Source("--sort", text), 1, 1 + descends)
        given = quote(name) if name else "nothing"
        fail(
            place,
            f"`--sort` takes {listing(METRICS)}, not {given}",
            _meant(name),
            code="unknown-metric",
        )
    index = METRICS.index(name)
    return (lambda numbers: -numbers[index]) if descends else itemgetter(index)


def _parse(option: str, texts: Iterable[str], findings: Findings) -> dict[str, Fraction]:
    bounds: dict[str, Fraction] = {}
    for text in texts:
        source = Source(option, re.sub(r"[\r\n]", " ", text))
        form = re.fullmatch(r"\s*([^=\s]*)\s*=\s*(.*?)\s*", source.text)
        if form is None:
            message = f"`{option}` takes NAME=NUMBER, not {quote(text)}"
            findings.error(
                source.start(), message, "for example multiply_adds=4G", code="malformed-option"
            )
            continue
        name, amount = form[1], form[2]
        form_ = r"([0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][0-9]{1,2})?) ?([kKMGBTP]?)"
        number = re.fullmatch(form_, amount)
        if name not in METRICS:
            message = f"`{option}` takes {listing(METRICS)}, not {quote(name)}"
            findings.error(
                Place(source, 1, form.start(1) + 1), message, _meant(name), code="unknown-metric"
            )
        elif number is None:
            place = Place(source, 1, form.start(2) + 1)
            message = f"{quote(amount)} is not a number" if amount else "a number is missing"
            findings.error(
                place, message, "for example 4G, 2.5M or 4000000000", code="malformed-option"
            )
        elif name in bounds:
            findings.error(
                source.start(), f"`{option}` limits `{name}` twice", code="duplicate-key"
            )
        else:
            bounds[name] = Fraction(number[1]) * 10 ** _SUFFIXES[number[2]]
    return bounds


def _meant(name: str) -> str | None:
    other = _OTHER_NAMES.get(name.lower())
    return f"did you mean `{other}`?" if other else closest(name, METRICS)
