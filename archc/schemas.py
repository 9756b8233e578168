"""The JSON that commands print, as JSON Schemas: made from the records that they print."""

from __future__ import annotations

from typing import Any

SCHEMAS: dict[str, str] = {
    "spec": "A spec: what an author writes.",
    "recipe": "A recipe: how a network is trained.",
    "count": "What `archc count --format json` prints: a record for each spec.",
    "explain": "What `archc count --explain --format json` prints: a record for each spec.",
    "memory": "What `archc count --memory --format json` prints: a record for each spec.",
    "receptive-field": "What `archc count --receptive-field --format json` prints.",
    "roofline": "What `archc count --roofline DEVICE --format json` prints.",
    "diff": "What `archc diff --format json` prints: one record.",
    "sweep": "The variants that `archc sweep` writes to FILE.json, and prints as JSON.",
}
"""Every schema by its name, with what it is of."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a name in `SCHEMAS`."""
    if name == "spec":
        from archc.spec.schema import json_schema

        return json_schema()
    if name == "recipe":
        from archc.recipes import recipe_schema

        return recipe_schema()
    if name == "sweep":
        made: dict[str, Any] = {"type": "array", "items": _variant()}
    elif name == "diff":
        made = _record(name)
        made["properties"] = {"spec_a": _SPEC, "spec_b": _SPEC, **made["properties"]}
        made["required"] = ["spec_a", "spec_b", *made["required"]]
    else:
        record = _record(name)
        definitions = record.pop("$defs", {})
        record["properties"] = {"spec": _SPEC, **record["properties"]}
        record["required"] = ["spec", *record["required"]]
        made = {"type": "array", "items": record, "$defs": definitions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"archc {name}",
        "description": SCHEMAS[name],
        **{key: value for key, value in made.items() if key not in ("title", "description")},
    }


_SPEC = {"type": "string", "description": "The spec as it was named on the command line."}


def _record(name: str) -> dict[str, Any]:
    """The schema of the record that a command prints."""
    from pydantic import TypeAdapter

    from archc import analysis

    records = {
        "count": analysis.Count,
        "explain": analysis.Explanation,
        "memory": analysis.Memory,
        "receptive-field": analysis.Fields,
        "roofline": analysis.Roofline,
        "diff": analysis.Comparison,
    }
    return _closed(TypeAdapter(records[name]).json_schema())


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
