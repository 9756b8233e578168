"""Damaged files: bits, lengths and fields are others, by chance but always the same."""

from __future__ import annotations

import json
import random
from typing import Any

HUGE: tuple[Any, ...] = (
    -1,
    0,
    2**31,
    2**63 - 1,
    2**64,
    10**30,
    1.5,
    True,
    None,
    "",
    "x",
    [],
    {},
    [[]],
    {"as_int": -1},
)


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Data with bits flipped, bytes put in, taken out or exchanged, or with its end cut off."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        if not damaged:
            break
        at, kind = rng.randrange(len(damaged)), rng.randrange(7)
        if kind == 0:
            damaged[at] = rng.randrange(256)
        elif kind == 1:
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del damaged[at : at + rng.choice([1, 9, 200])]
        elif kind == 3:
            damaged[at:at] = rng.randbytes(rng.choice([1, 4]))
        elif kind == 4:
            del damaged[at:]
        elif kind == 5:
            other, size = rng.randrange(len(damaged)), rng.choice([1, 8, 60])
            damaged[at : at + size], damaged[other : other + size] = (
                damaged[other : other + size],
                damaged[at : at + size],
            )
        else:
            damaged[at : at + 9] = b"\xff" * 9
    return bytes(damaged)


def damaged_json(document: Any, rng: random.Random) -> bytes:
    """A document in which some values are others, are gone, or have changed places."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.choice([1, 1, 2, 4])):
        places = list(_places(document))
        if not places:
            break
        (holder, key), (other, second) = rng.choice(places), rng.choice(places)
        kind = rng.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = rng.choice(HUGE)
        elif kind == 2:
            held = json.loads(json.dumps(other[second]))
            holder[key] = held
        elif kind == 3 and isinstance(holder, list):
            holder.append(holder[key])
        elif isinstance(holder[key], str):
            holder[key] = holder[key][: rng.randrange(len(holder[key]) + 1)]
        elif isinstance(holder[key], list):
            rng.shuffle(holder[key])
    return json.dumps(document).encode()


def _places(value: Any) -> Any:
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])
