"""Definitions that would take forever, or break out of the language: refused, with a place."""

from __future__ import annotations

import pytest
import torch

from archc.compile import compile_spec
from archc.graph.authored import NOT_FOR_MODULES
from archc.spec import Source, SpecError, resolve

SPEC = """\
name: net
blocks:
{blocks}
stages: [{{block: {last}, depth: 1, width: 8}}]
head: [global_avg_pool, linear]
"""


def chain(length: int) -> str:
    """Blocks each of which uses the one before twice: 2 to the power of ``length`` layers."""
    rows = ["  b0: {attributes: {width: int}, layers: [conv: {width: width, kernel: 1}]}"]
    for number in range(1, length + 1):
        use = f"b{number - 1}: {{width: width}}"
        rows.append(f"  b{number}: {{attributes: {{width: int}}, layers: [{use}, {use}]}}")
    return SPEC.format(blocks="\n".join(rows), last=f"b{length}")


def one(body: str) -> str:
    return SPEC.format(blocks=f"  b:\n    attributes: {{width: int}}\n{body}", last="b")


def layer(width: str, more: str = "") -> str:
    return one(f"    layers: [{{conv: {{width: {width}, kernel: 1}}{more}}}]")


HOSTILE = {
    "a chain of 64 blocks each using the one before twice": chain(64),
    "a repeat of repeats": one(
        "    layers: [{layers: [{layers: [{conv: {width: width, kernel: 1}, repeat: 9999}], "
        "repeat: 9999}], repeat: 9999}]"
    ),
    "an expression of 10,000 characters": layer('"' + "width + " * 1250 + '1"'),
    "nesting": layer('"' + "(" * 5000 + "width" + ")" * 5000 + '"'),
    "a power": layer('"10**10**10"'),
    "a number that doubles its digits": one(
        "    let:\n"
        + "      a0: width * 999999999999999999\n"
        + "".join(f"      a{n + 1}: a{n} * a{n}\n" for n in range(60))
        + "    layers: [conv: {width: a60, kernel: 1}]"
    ),
    "a division by zero": layer('"width // (width - width)"'),
    "let in a circle": one("    let: {a: b, b: a}\n    layers: [conv: {width: a, kernel: 1}]"),
    "a name of Python": layer('"__import__(width)"'),
    "an attribute of an object": layer('"width.__class__"'),
    **{
        f"a module called {name}": layer("width", f", name: {name}")
        for name in (
            *("self", "__class__", "forward", "super", "half", "type", "train", "state_dict"),
            *("class", "None", "import", "lambda"),
        )
    },
    **{
        f"an attribute called {name}": SPEC.format(
            blocks=f"  b:\n    attributes: {{{name}: 8}}\n    layers: [dropout: {name}]", last="b"
        )
        for name in ("self", "super", "forward", "__class__", "class", "None", "int", "max", "nn")
    },
    **{
        f"a label called {name}": one(
            f"    layers: [label: {name}, conv: {{width: width, kernel: 1}}, add: {name}]"
        )
        for name in ("self", "class")
    },
    **{
        f"a block called {name}": SPEC.format(blocks=f"  {name}: {{layers: [relu]}}", last=name)
        for name in ("self", "class", "forward", "__class__", "None")
    },
    "conditions of many cases": one(
        "    layers:\n      - conv: {width: width, kernel: 1}\n"
        + "".join(
            "      - {relu: {}, if: '"
            + " and ".join(f"(in * {n} < width or in % {n} == {m})" for n in range(2, 22))
            + "'}\n"
            for m in range(50)
        )
        + "      - {relu: {}, if: false}\n"
    ),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_it_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_spec(resolve(Source("net.yaml", text)))
    for one in caught.value.diagnostics:
        assert one.place.source.name == "net.yaml"
        assert one.place.line > 1


def test_what_torch_s_modules_have_is_on_the_list() -> None:
    """They are kept in archc, which does not import torch to know them."""
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert public <= NOT_FOR_MODULES | {"dump_patches", "training"}
