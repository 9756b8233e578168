"""Texts of every kind that archc reads, valid ones spoilt at random, and what must hold of them.

`KINDS` maps a kind of text to its valid examples and to the code that reads it. Whatever becomes of
an example, reading it succeeds or raises an error that the command line explains, with diagnostics
that point into the text. `benchmarks/fuzz.py` runs many; the tests keep a slice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from random import Random

import click

from archc.analysis import roofline
from archc.cli import cli
from archc.cli.errors import explain
from archc.compile import compile_spec
from archc.graph import Network
from archc.hardware import find_device
from archc.recipes import load_recipe, resolve_recipe
from archc.shipped import shipped_folder
from archc.source.diagnostics import MAX_DIAGNOSTICS
from archc.spec import Diagnostic, Place, Source, Spec, SpecError, resolve
from archc.spec.overrides import InputSize
from archc.spec.show import show
from archc.sweeps import Plan, Variant, parse_axes, parse_bounds, parse_order
from archc.sweeps.specs import variant_specs
from archc.training import Run, draw_curves
from archc.training.metrics import HEADING, read_metrics

JUNK = (
    *("5", "1", "0", "-1", "1.0", "0.5", "1e400", ".nan", "-.inf", "1e-9", "9" * 18, "9" * 5000),
    *("true", "false", "null", "~", "yes", "none", "[1]", "[]", "{}", "[[1], {a: 2}]", "{a: 1}"),
    *("''", '"5"', '"\\ud800"', '"\\0"', "x", "A", "relu", "conv", "inf", "nan", "x0.5", "01"),
    *("1..5", "1..5:0", "5..1", "..", "=", ",", ":", ": ", "- ", "\n", "\t", " ", "  ", "\r"),
    *("&a", "*a", "!!int", "<<", "|", ">", "[", "]", "{", "}", "#", "'", '"', "---", "...", "? "),
    *("[" * 70, "{a: " * 70, "a" * 300, "\x00", "\x1b[31m", "\u2028", "\u202e", "\ufeff"),
    *("\udcff", "\ud800", "\u0663", "\xbd", "\xb2", "e\u0301", "\U0001f600", "0x10", "1_0"),
    *("4G", "2.5M", "1e9", "1e99", "extends: null", "../x.yaml", "/dev/null", "-params", "%", "@"),
    "x1..x2:0.1",
)
"""What takes the place of a piece of a text, or comes to stand beside it."""

_PIECES = re.compile(r"[A-Za-z_]+|[0-9.]+|\s+|.", re.DOTALL)
_FOREIGN = ("pydantic", "<class '", "Traceback", "NoneType", "<archc", "object at 0x")

SPEC = """\
name: net
title: "A \\"net\\" of 残差 blocks: ☂"
input: [3, 16, 16]
classes: 10
norm: batch_norm
stem:
  - conv: {width: 8, kernel: 3, stride: 2, padding: 1, bias: false, groups: 1, activation: relu}
  - max_pool: {kernel: 3, stride: 2}
defaults: {block: bottleneck, shortcut: B, stride_at: 3x3}
stages:
  - {depth: 2, width: 8}
  - {depth: 1, width: 16, stride: 2, groups: 2}
  - {block: conv, depth: 1, width: 8, kernel: 3, pool: 2, bias: true}
with: {depth: [null, 2, 1], expansion: [2, 2, null]}
head: [global_avg_pool, dropout: 0.5, linear, softmax]
"""
CHILD = "extends: cifar10/resnet20\nname: child\nwith: {depth: [1, 2, null], shortcut: B}\n"
RECIPE = """\
recipe: mine
extends: imagenet
description: 'of a sentence'
data: image_folder
iterations: 2000
batch: 128
initialization: module
learning_rate: {initial: 0.1, divide_by: 10, at: [1000, 1500], threshold: 0.1}
optimizer: {momentum: 0.9, weight_decay: 1e-4, nesterov: false}
warm_up: {learning_rate: 0.01, until_error: 80, from_layers: 2}
pixels: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2]}
augmentation: {resize: [256, 480], flip: true, colour: pca}
testing: {resize: 256, crops: 10}
"""
DEVICES = """\
mine: {title: My GPU, dtype: bfloat16, tflops: 2250, gb_per_s: 8000, source: "a datasheet"}
other:
  title: "Another"
  dtype: float32
  tflops: 0.5
  gb_per_s: 1e2
  source: measured
"""
METRICS = HEADING + (
    "0,0,0.1,,,2.3,90,,1.5\n100,0.256,0.1,2.1,80.5,,,1234.5,3\n200,0.512,0.01,nan,70,1.9,65.25,9e3,4\n"
)


@dataclass(frozen=True)
class Kind:
    """Valid texts of a kind, and what reads one; ``folder`` is for files."""

    examples: Sequence[str]
    read: Callable[[str, Path], object]


def spoilt(random: Random, examples: Sequence[str]) -> str:
    """An example after one to four changes of its pieces: words, numbers, blanks and signs."""
    pieces = _PIECES.findall(random.choice(examples))
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        at = random.randrange(len(pieces) + 1)
        how = random.choice(("replace", "replace", "insert", "delete", "swap", "double", "cut"))
        if how == "insert" or at == len(pieces):
            pieces.insert(at, random.choice(JUNK))
        elif how == "replace":
            pieces[at] = random.choice(JUNK)
        elif how == "delete":
            del pieces[at : at + random.choice((1, 1, 2, 5))]
        elif how == "swap":
            other = random.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif how == "double":
            end = at + random.choice((1, 3, 20))
            pieces[at:at] = pieces[at:end]
        elif random.random() < 0.2:
            del pieces[at:]
    return "".join(pieces)


def check(kind: str, text: str, folder: Path) -> str:
    """Read a text of a kind: ``valid``, or ``refused`` in words.

    Raises whatever is no error in words, and AssertionError for one that is told badly.
    """
    try:
        KINDS[kind].read(text, folder)
    except click.ClickException:
        return "refused"
    except SpecError as error:
        check_diagnostics(error.diagnostics)
        return "refused"
    except Exception as error:
        if any("internal error" in line for line in explain(error)):
            raise
        return "refused"
    return "valid"


def check_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Assert that they are not too many, and each as it should be."""
    assert len(diagnostics) <= MAX_DIAGNOSTICS + 1
    for diagnostic in diagnostics:
        check_diagnostic(diagnostic)


def check_diagnostic(diagnostic: Diagnostic) -> None:
    """Assert that a diagnostic points into its text, and is in words that a terminal can show."""
    for place in (diagnostic.place, *(note.place for note in diagnostic.all_notes)):
        check_place(place)
    text = diagnostic.render()
    json.dumps(diagnostic.as_dict()).encode()
    words = f"{diagnostic.message} {diagnostic.hint}"
    assert words.isprintable()
    assert len(words) < 1000
    assert [word for word in _FOREIGN if word in words] == []
    assert text.encode()


def check_place(place: Place) -> None:
    """Assert that a place is one of its text."""
    lines = place.source.lines
    assert 1 <= place.line <= len(lines)
    assert 1 <= place.column <= len(lines[place.line - 1]) + 1


# What reads each kind


@cache
def _spec() -> Spec:
    return resolve(Source("spec.yaml", SPEC))


@cache
def _network() -> Network:
    return compile_spec(_spec())


def _write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(text.encode(errors="surrogatepass"))
    return str(path)


def _read_spec(text: str, _folder: Path) -> None:
    spec = resolve(Source("spec.yaml", text))
    network = compile_spec(spec)
    assert compile_spec(resolve(Source("spec.yaml", show(spec)))).params == network.params


def _read_recipe(text: str, _folder: Path) -> None:
    recipe = resolve_recipe(Source("recipe.yaml", text, kind="recipe"))
    again = resolve_recipe(Source("recipe.yaml", recipe.as_yaml(), kind="recipe"))
    assert again == recipe


def _read_setting(text: str, _folder: Path) -> None:
    load_recipe("cifar10", text.split(";"))


def _read_devices(text: str, folder: Path) -> None:
    device = find_device("mine", _write(folder, "devices.yaml", text))
    roofline(_network(), device).as_dict()


def _read_axes(text: str, folder: Path) -> None:
    axes = parse_axes(text.split(";"), _spec())
    plan = Plan(Source("spec.yaml", SPEC, path="spec.yaml"), axes)
    assert plan.count >= 0
    built = [one for one in islice(plan.variants(), 4) if isinstance(one, Variant)]
    for text in variant_specs(plan, built, "imagenet/resnet50", folder).values():
        assert text.startswith("# ")


def _read_bounds(text: str, _folder: Path) -> None:
    bounds = parse_bounds(text.split(";"), ["params=1M"])
    bounds.admit((1, 2, 3))


def _read_with(text: str, _folder: Path) -> None:
    compile_spec(resolve(Source("spec.yaml", SPEC), text.split(";")))


def _read_input(text: str, _folder: Path) -> None:
    compile_spec(resolve(Source("spec.yaml", SPEC), [InputSize(text)]))


def _read_metrics(text: str, folder: Path) -> None:
    rows = read_metrics(Path(_write(folder, "metrics.csv", text)))
    assert rows


def _read_curves(text: str, folder: Path) -> None:
    _write(folder, "metrics.csv", text)
    _write(folder, "spec.yaml", "name: tiny\nhead: [linear]\n")
    draw_curves([Run(folder)], split=len(text) % 2 == 0)


def _read_command(text: str, folder: Path) -> None:
    """A command line, an option to a line; no system hands over a NUL in one."""
    _write(folder, "spec.yaml", SPEC)
    _write(folder, "devices.yaml", DEVICES)
    first, *more = text.replace("{folder}", str(folder)).replace("\0", "").split("\n")
    arguments = [first, str(folder / "spec.yaml"), *(word for word in more if word)]
    with redirect_stdout(_stream()), redirect_stderr(_stream()):
        cli.main(arguments, prog_name="archc", standalone_mode=False)


def _stream() -> TextIOWrapper:
    return TextIOWrapper(BytesIO(), encoding="utf-8", errors="replace")


def _shipped() -> Iterator[str]:
    for name in ("cifar10/plain20", "imagenet/plain34", "imagenet/vgg19"):
        yield (shipped_folder() / f"{name}.yaml").read_text(encoding="utf-8")


_AXES = ("depth=2..8:2", "depth[3]=1,2,3;width=x0.5..x2:0.25", "shortcut=A,B,C", "block=basic,conv")
_SETTINGS = (
    "iterations=2000",
    "testing.crops=10",
    "learning_rate.at=[1000, 1500];learning_rate.initial=0.05",
    "pixels={mean: per_channel}",
    "warm_up=null;optimizer.nesterov=true",
    "learning_rate.at=null;learning_rate.patience=3",
)
_COMMANDS = (
    "count\n--with\ndepth=1,2,1\n--input\n3,16,16\n--format\ncsv",
    "count\n--roofline\nmine\n--devices\n{folder}/devices.yaml\n--batch\n8",
    "count\n--by\nlayer\n--format\njson",
    "check\n--with\nshortcut=B",
    "show\n--with\nwidth=8",
    "sweep\n--vary\ndepth[1]=1..3\n--max\nparams=1M\n--min\nlayers=2\n--sort\n-params",
    "diff\ncifar10/resnet20\n--format\njson",
)

KINDS = {
    "spec": Kind((SPEC, CHILD, *_shipped()), _read_spec),
    "recipe": Kind((RECIPE, "recipe: a\nextends: cifar10\ntesting: {crops: 1}\n"), _read_recipe),
    "--set": Kind(_SETTINGS, _read_setting),
    "--devices": Kind((DEVICES,), _read_devices),
    "--roofline": Kind(
        ("h100-bf16", "h200-tf32"), lambda text, folder: roofline(_network(), find_device(text))
    ),
    "--vary": Kind(_AXES, _read_axes),
    "--min, --max": Kind(("multiply_adds=4G;layers=50", "params=2.5M", "layers=1e2"), _read_bounds),
    "--sort": Kind(("-params", "multiply_adds"), lambda text, folder: parse_order(text)((1, 2, 3))),
    "--with": Kind(("depth=1,2,1", "width=8;stride=1", "pool=null,null,2"), _read_with),
    "--input": Kind(("3,224,224", "1,32,32"), _read_input),
    "metrics": Kind((METRICS,), _read_metrics),
    "curves": Kind((METRICS,), _read_curves),
    "command": Kind(_COMMANDS, _read_command),
}
"""Every kind of text; the last two cost a picture, and a command's work."""
