"""What an author expects of a network: the `expect` of a spec.

It says what numbers the network must have, exactly (``25_557_032``), rounded to the digits that are
given (``25.6M``), compared (``<= 4.1G``) or within a range (``25M..26M``), and how much memory a
batch may take. Whether it holds, `archc check` and `archc build` see.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

from archc.amounts import MULTIPLES, parse_memory
from archc.choices import BYTES, OPTIMIZERS
from archc.dataclassing import dataclass
from archc.source.diagnostics import Advice, Findings, Place
from archc.source.reader import Entry, Value
from archc.source.suggest import closest
from archc.source.validate import code_of, describe, is_nothing, tainted, unknown
from archc.text import listing, quote

COUNTS = ("params", "multiply_adds", "layers")
"""The numbers of a network that may be expected."""

MEMORIES = ("inference_memory", "training_memory")
"""The memories that may be expected."""

EXPECTED = (*COUNTS, *MEMORIES)

NUMBER = r"(?:[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,18})(?:\.[0-9]{1,9})?"
UNIT = r" ?[kMGT]"
_AMOUNT = re.compile(rf"(?P<number>{NUMBER})(?P<unit>{UNIT}|[eE][0-9]{{1,2}})?")
_COMPARED = re.compile(r"(?P<sign><=|>=|==|<|>)\s*(?P<amount>.*)", re.DOTALL)
_SIGNS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "==": "exactly"}

EXAMPLE = "for example 25_557_032, 25.6M, <= 4.1G or 25M..26M"


@dataclass(frozen=True)
class ExpectedCount:
    """A number that a network must have: from ``low`` to ``high``, where there are such bounds.

    ``words`` say so in a message (``at most 4.1G``). A number that is compared when it is rounded
    is given in steps of ``step``.
    """

    name: str
    place: Place
    words: str
    low: int | None
    high: int | None
    step: Fraction | None = None

    def holds(self, number: int) -> bool:
        """Whether a number is as expected."""
        return (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )


@dataclass(frozen=True)
class ExpectedMemory:
    """The bytes below which the tensors of a batch must stay; ``words`` are as it is written.

    ``optimizer`` is None for inference.
    """

    name: str
    place: Place
    words: str
    below: int
    batch: int
    dtype: str
    optimizer: str | None


Expectation = ExpectedCount | ExpectedMemory


def expectations_of(value: Value, findings: Findings) -> tuple[Expectation, ...]:
    """The expectations of a spec, what is wrong with them being noted."""
    if not isinstance(value.data, dict) or tainted(value):
        return ()
    found: list[Expectation | None] = []
    split = _split_numbers(value.data)
    for key, entry in value.data.items():
        if key in split:
            if split[key]:
                message = "a comma ends a value: it cannot separate thousands"
                hint = f"write {split[key]}"
                findings.error(entry.key, message, hint, code="malformed-value")
        elif key in COUNTS:
            found.append(_count(key, entry.value, findings))
        elif key in MEMORIES:
            found.append(_memory(key, entry.value, findings))
        else:
            unknown(key, entry.key, "`expect` has no key", EXPECTED, findings)
    return tuple(one for one in found if one is not None)


def _split_numbers(entries: Mapping[str, Entry]) -> dict[str, str]:
    """The keys that are the rest of a number: in a mapping in braces, ``params: 25,557,032`` has
    the keys ``params``, ``557`` and ``032``. The first of each has the number as it should be."""
    split: dict[str, str] = {}
    number, first = "", ""
    for key, entry in entries.items():
        if number and re.fullmatch(r"[0-9]{3}[ kMGT]*", key) and is_nothing(entry.value):
            number, first = f"{number}_{key}", first or key
            split[key] = ""
            split[first] = number
        else:
            text = entry.value.text or ""
            number, first = text if re.fullmatch(r".*\b[0-9]{1,3}", text) else "", ""
    return split


# Numbers


def _count(name: str, value: Value, findings: Findings) -> ExpectedCount | None:
    data = value.data
    text = value.text if value.text is not None else data
    if isinstance(data, (bool, tuple, dict)) or data is None or text is None:
        wrong = f"must be a number or a comparison, not {describe(value)}"
        message = f"`{name}` {'has no value' if is_nothing(value) else wrong}"
        findings.error(value.place, message, EXAMPLE, code=code_of(value))
        return None
    try:
        words, low, high, step = _bounds(str(text).strip())
    except ValueError as error:
        message, _, hint = str(error).partition("\n")
        number = str(text).replace(",", "_")
        if hint.startswith(f"write {number}:"):
            hint = Advice(hint, number)
        findings.error(value.place, f"`{name}` {message}", hint or None, code="malformed-value")
        return None
    return ExpectedCount(name, value.place, words, low, high, step)


def _bounds(text: str) -> tuple[str, int | None, int | None, Fraction | None]:
    """What a text accepts: in words, from and to, and the step where it is of rounded numbers.

    Raises ValueError, with a hint on a second line where there is a special one.
    """
    first, dots, last = text.partition("..")
    if dots:
        low, high = _amount(first.strip(), text), _amount(last.strip(), text)
        if low > high:
            raise ValueError(f"has the range {quote(text)}, which begins above its end")
        return f"from {first.strip()} to {last.strip()}", math.ceil(low), math.floor(high), None
    compared = _COMPARED.fullmatch(text)
    if compared is None:
        return _rounded(text)
    sign, shown = compared["sign"], compared["amount"].strip()
    number = _amount(shown, text)
    words = f"{_SIGNS[sign]} {shown}"
    if sign == "==":
        if number.denominator != 1:
            raise ValueError(f"cannot be {quote(shown)}: it is an integer")
        return words, int(number), int(number), None
    if sign in ("<=", "<"):
        most = math.floor(number) if sign == "<=" else math.ceil(number) - 1
        if most < 0:
            raise ValueError(f"cannot be {words}: it is at least 0")
        return words, None, most, None
    return words, math.ceil(number) if sign == ">=" else math.floor(number) + 1, None, None


def _rounded(text: str) -> tuple[str, int, int, Fraction | None]:
    """A number by itself: with a unit, all that are rounded to it."""
    number = _amount(text, text)
    form = _AMOUNT.fullmatch(text)
    assert form is not None
    decimals = len(form["number"].partition(".")[2])
    step = Fraction(_multiple(form["unit"]), 10**decimals)
    if step > 1:
        return text, math.ceil(number - step / 2), math.ceil(number + step / 2) - 1, step
    if number.denominator != 1:
        raise ValueError(f"cannot be {quote(text)}: it is an integer")
    return text, int(number), int(number), None


def _amount(text: str, whole: str) -> Fraction:
    """A number with its unit. Raises ValueError for what is none."""
    form = _AMOUNT.fullmatch(text)
    if form is None:
        raise ValueError(_wrong_amount(text, whole))
    return Fraction(form["number"].replace("_", "")) * _multiple(form["unit"])


def _multiple(unit: str | None) -> int:
    """What a unit multiplies by."""
    if not unit:
        return 1
    name = unit.strip()
    return int(10 ** int(name[1:])) if name[0] in "eE" else MULTIPLES[name]


def _wrong_amount(text: str, whole: str) -> str:
    """What is wrong with a number, and on a second line what to write."""
    wrong = f"must be a number or a comparison, not {quote(whole)}"
    if not text:
        return f"{wrong}\n{EXAMPLE}"
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+.*", text):
        return f"{wrong}\nwrite {text.replace(',', '_')}: numbers have no commas"
    if re.fullmatch(r"[0-9]+,[0-9]+.*", text):
        return f"{wrong}\nuse a decimal point, {text.replace(',', '.')}"
    if text.startswith("-"):
        return f"cannot be {quote(text)}: it is at least 0"
    if re.fullmatch(r"[0-9]+(_[0-9]+)+.*", text):
        return f"{wrong}\nunderscores separate thousands, as in 25_557_032"
    unit = re.fullmatch(rf"({NUMBER}) ?([A-Za-z]+)", text)
    if unit:
        better = {"K": "k", "m": "M", "g": "G", "t": "T", "B": "G", "b": "G"}.get(unit[2])
        meant = f"did you mean {unit[1]}{better}?" if better else EXAMPLE
        return f"has the unit {quote(unit[2])} in {quote(whole)}, but takes k, M, G or T\n{meant}"
    if re.match(r"(=<|=>|=(?!=)|!=|<>|≤|≥|~|≈)", text):
        return f"{wrong}\ncomparisons are <=, <, >=, > and =="
    return f"{wrong}\n{EXAMPLE}"


# Memory


def _memory(name: str, value: Value, findings: Findings) -> ExpectedMemory | None:
    is_training = name == "training_memory"
    example = "{batch: 64, below: 24GB}"
    if not isinstance(value.data, dict):
        wrong = "has no value" if is_nothing(value) else f"must be a mapping, not {describe(value)}"
        message, hint = f"`{name}` {wrong}", f"for example {example}"
        findings.error(value.place, message, hint, code=code_of(value))
        return None
    keys = ("batch", "below", "dtype", *(("optimizer",) if is_training else ()))
    entries: Mapping[str, Entry] = value.data
    meant: set[str] = set()
    for key, entry in entries.items():
        if key not in keys:
            meant |= unknown(key, entry.key, f"`{name}` has no key", keys, findings)
    missing = [key for key in ("batch", "below") if key not in {*entries, *meant}]
    if missing:
        message = f"`{name}` needs {listing([f'`{key}`' for key in missing], 'and')}"
        findings.error(value.place, message, f"for example {example}", code="missing-key")
        return None
    if meant:
        return None
    batch = _batch(name, entries["batch"].value, findings)
    below = _bytes(name, entries["below"].value, findings)
    dtype = _choice(name, "dtype", entries, "float32", tuple(BYTES), findings)
    optimizer = _choice(name, "optimizer", entries, "momentum", tuple(OPTIMIZERS), findings)
    if batch is None or below is None or dtype is None or optimizer is None:
        return None
    place, words = entries["below"].value.place, str(entries["below"].value.data).strip()
    chosen = optimizer if is_training else None
    return ExpectedMemory(name, place, words, below, batch, dtype, chosen)


def _batch(name: str, value: Value, findings: Findings) -> int | None:
    data = value.data
    if isinstance(data, int) and not isinstance(data, bool) and data >= 1:
        return data
    message = f"`batch` of `{name}` must be an integer of at least 1, not {describe(value)}"
    is_number = isinstance(data, int) and not isinstance(data, bool)
    findings.error(value.place, message, code="out-of-range" if is_number else "wrong-type")
    return None


def _bytes(name: str, value: Value, findings: Findings) -> int | None:
    data = value.data
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        shown = value.text or str(data)
        message = f"`below` of `{name}` has no unit: {describe(value)}"
        hint = None if shown.startswith("-") else f"for example {shown}GB or {shown}GiB"
        findings.error(value.place, message, hint, code="malformed-value")
        return None
    if not isinstance(data, str):
        message = f"`below` of `{name}` must be an amount of memory, not {describe(value)}"
        findings.error(value.place, message, "for example 24GB", code="wrong-type")
        return None
    try:
        return parse_memory(data)
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        message = f"`below` of `{name}`: {message}"
        findings.error(value.place, message, hint, code="malformed-value")
    return None


def _choice(
    name: str,
    key: str,
    entries: Mapping[str, Entry],
    usual: str,
    choices: tuple[str, ...],
    findings: Findings,
) -> str | None:
    if key not in entries:
        return usual
    value = entries[key].value
    if isinstance(value.data, str) and value.data in choices:
        return value.data
    message = f"`{key}` of `{name}` must be {listing(choices)}, not {describe(value)}"
    hint = closest(value.data, choices) if isinstance(value.data, str) else None
    findings.error(value.place, message, hint, code="invalid-choice")
    return None
