"""Tables of devices: YAML files, checked and complained of as specs are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from archc.analysis import Device
from archc.source.ancestry import read_mapping
from archc.source.caller import said
from archc.source.diagnostics import Findings, Source, fail
from archc.source.files import open_text
from archc.source.reader import Entry
from archc.source.record import Field, Record
from archc.source.suggest import nearest
from archc.source.validate import describe, tainted, unknown_keys, validate
from archc.text import listing, quote, quote_name

_LEAST, _MOST = 1e-6, 1e9
_RATE = "a number from 0.000001 to 1,000,000,000"
_WORDS = "text on one line, without control characters"
_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"


class _Row(Record):
    """A device as a table has it."""

    title: str = Field(
        pattern=_PRINTABLE,
        description="The device's name for people.",
        words=_WORDS,
    )
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = Field(
        description="The dtype of the tensors."
    )
    tflops: float = Field(
        ge=_LEAST,
        le=_MOST,
        description="10^12 operations per second; a multiply-add is two.",
        words=_RATE,
    )
    gb_per_s: float = Field(ge=_LEAST, le=_MOST, description="10^9 bytes per second.", words=_RATE)
    source: str = Field(
        pattern=_PRINTABLE,
        description="The source of the figures.",
        words=_WORDS,
    )


def device_names(path: str | None = None) -> list[str]:
    """The devices of the shipped table and of a file besides."""
    return list(_devices(path))


def find_device(name: str, path: str | None = None) -> Device:
    """The device of this name, from a file if that has it, otherwise from the shipped table.

    Raises `SpecError` for a name that is in neither, and for a file that is no such table.
    """
    devices = _devices(path)
    if name not in devices:
        alike = [one for one in devices if name and one.lower().startswith(name.lower())]
        if not alike and (near := nearest(name, devices)):
            alike = [near]
        hint = f"choose from {listing(map(quote_name, devices), 'and')}"
        if alike:
            hint = f"did you mean {listing(f'`{quote_name(one)}`' for one in alike)}?"
        fail(
            Source(said("--roofline", "device"), name).start(),
            f"there is no device {quote(name)}",
            hint,
            code="unknown-device",
        )
    return devices[name]


def _devices(path: str | None) -> dict[str, Device]:
    shipped = _read(str(Path(__file__).with_name("devices.yaml")))
    return shipped if path is None else shipped | _read(path)


def _read(path: str) -> dict[str, Device]:
    source, findings = open_text(path, "device table"), Findings()
    found = read_mapping(source, findings, "for example `mine: {title: My GPU, dtype: ...}`")
    devices: dict[str, Device] = {}
    for name, entry in found[0].items() if found else ():
        device = _device(name, entry, findings)
        if device is not None:
            devices[name] = device
    findings.check()
    return devices


def _device(name: str, entry: Entry, findings: Findings) -> Device | None:
    value = entry.value
    if not isinstance(value.data, dict):
        if not tainted(value):
            fields = listing([f"`{field}`" for field in _Row.model_fields], "and")
            message = f"a device is a mapping, not {describe(value)}"
            findings.error(value.place, message, f"it has {fields}", code="wrong-type")
        return None
    rows: Mapping[str, Entry] = value.data
    unknown_keys(rows, _Row, "a device has no key", findings)
    row = validate(_Row, rows, entry.key, quote(name), findings)
    if row is None:
        return None
    return Device(name, row.title, row.dtype, row.tflops * 1e12, row.gb_per_s * 1e9, row.source)
