"""The JSON that commands print, as JSON Schemas: made from the records that they print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.blocks import Definition
    from archc.spec import Spec

SCHEMAS: dict[str, str] = {
    "spec": "A spec: what an author writes.",
    "recipe": "A recipe: how a network is trained.",
    "count": "What `archc count --format json` prints: a record for each spec.",
    "explain": "What `archc count --explain --format json` prints: a record for each spec.",
    "memory": "What `archc count --memory --format json` prints: a record for each spec.",
    "fit": "What `archc fit --format json` prints: a record for each spec.",
    "receptive-field": "What `archc count --receptive-field --format json` prints.",
    "roofline": "What `archc count --roofline DEVICE --format json` prints.",
    "diff": "What `archc diff --format json` prints: one record.",
    "sweep": "The variants that `archc sweep` writes to FILE.json, and prints as JSON.",
    "verify": "What `archc verify --format json` prints: a report for each spec.",
    "bench": "What `archc bench --format json` prints: a row for each spec and batch size.",
}
"""Every schema by its name, with what it is of."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a name in `SCHEMAS`.

    Raises ModuleNotFoundError for verify and bench where torch, which makes their records, is not
    installed.
    """
    if name == "spec":
        from archc.spec.schema import json_schema

        return json_schema()
    if name == "recipe":
        from archc.recipes import recipe_schema

        return recipe_schema()
    if name == "sweep":
        made: dict[str, Any] = {"type": "array", "items": _variant()}
    else:
        record = _record(name)
        added = _ADDED.get(name, {"spec": _SPEC})
        record["properties"] = {**added, **record["properties"]}
        record["required"] = [*added, *record["required"]]
        definitions = {"$defs": record.pop("$defs", {})}
        made = {**record, **definitions}
        if name != "diff":
            made = {"type": "array", "items": record, **definitions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"archc {name}",
        "description": SCHEMAS[name],
        **{key: value for key, value in made.items() if key not in ("title", "description")},
    }


def schema_of(spec: Spec) -> dict[str, Any]:
    """The JSON Schema of specs that may have the blocks of one of them."""
    from archc.spec.schema import json_schema

    return json_schema(spec.library, of=spec)


def schema_of_blocks(blocks: Mapping[str, Definition]) -> dict[str, Any]:
    """The JSON Schema of specs that use a file with these blocks."""
    from archc.blocks import STANDARD
    from archc.spec.schema import json_schema

    return json_schema(STANDARD.under(blocks))


_SPEC = {"type": "string", "description": "The spec as it was named on the command line."}
_PASSED = {"type": "boolean", "description": "Whether every check was run and passed."}
_ADDED = {
    "diff": {"spec_a": _SPEC, "spec_b": _SPEC},
    "verify": {"spec": _SPEC, "passed": _PASSED},
}
"""What a command prints besides its record, where that is more than the spec."""


_OPTIONAL = ("products", "no_rule")
"""What is left out of a record where there is nothing to say."""

_INPUTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["name", "shape"],
        "additionalProperties": False,
    },
}


def _record(name: str) -> dict[str, Any]:
    """The schema of the record that a command prints."""
    from pydantic import TypeAdapter

    record = _closed(TypeAdapter(_record_type(name)).json_schema())
    properties = record["properties"]
    if "inputs" in properties:  # which stand there in place of `input`, where there are several
        properties["inputs"] = _INPUTS
        properties["input"] = {"anyOf": [properties["input"], {"type": "null"}]}
    return record


def _record_type(name: str) -> type:
    if name in ("verify", "bench"):
        from archc.live import require_torch

        require_torch(f"the schema of {name}")
        from archc import timing, verification

        return verification.Report if name == "verify" else timing.BenchResult
    from archc import analysis

    records: dict[str, type] = {
        "count": analysis.Count,
        "explain": analysis.Explanation,
        "memory": analysis.Memory,
        "fit": analysis.Fit,
        "receptive-field": analysis.Fields,
        "roofline": analysis.Roofline,
        "diff": analysis.Comparison,
    }
    return records[name]


def _closed(record: dict[str, Any]) -> dict[str, Any]:
    """A schema whose records have no other keys; what is not said by their titles is left out."""

    def close(part: Any) -> Any:
        if isinstance(part, list):
            return [close(item) for item in part]
        if not isinstance(part, dict):
            return part
        kept = {
            key: {name: close(one) for name, one in value.items()}
            if key in ("properties", "$defs")
            else close(value)
            for key, value in part.items()
            if not (key == "title" and isinstance(value, str))
        }
        if "required" in kept:
            kept["required"] = [key for key in kept["required"] if key not in _OPTIONAL]
        if "properties" in kept:
            kept["additionalProperties"] = False
        if "prefixItems" in kept:
            kept["items"] = False
        return kept

    closed: dict[str, Any] = close(record)
    return closed


def _variant() -> dict[str, Any]:
    from archc.sweeps import METRICS

    number = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "description": "What the variant sets, by axis (`depth[3]`, `width`), and its numbers.",
        "properties": dict.fromkeys(METRICS, number),
        "required": list(METRICS),
        "additionalProperties": {"type": ["integer", "number", "string", "boolean", "null"]},
    }
