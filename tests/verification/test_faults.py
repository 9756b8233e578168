"""Faults planted in emitted source: each is caught, and named by its layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import pytest
import torch
from strategies import compile_data
from structures import STRUCTURES, network_of

from archc.backends.pytorch import emit
from archc.graph import Network
from archc.verification import CHECKS, Fault, Options, Report, verify
from archc.verification.check import THOROUGH

Edit: TypeAlias = tuple[str, str] | tuple[str, str, int]
"""A text, which must stand there once, and what replaces it. A number says which occurrence is
meant, from 0, or that `EVERY` one is."""
EVERY = -1


@dataclass(frozen=True)
class Plant:
    """A fault: ``edits`` are made, then the row of ``check`` must fail and name ``layer`` first."""

    check: str
    layer: str
    edits: tuple[Edit, ...]


def plant(check: str, layer: str, *edits: Edit) -> Plant:
    """A fault, by the row that must fail and the layer that it must name."""
    return Plant(check, layer, edits)


SHORTCUT = "out += shortcut"
STEM = "F.relu(self.bn1(self.conv1(x)), inplace=True)"
LAYER1 = "self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))"
FIRST_NORM = "self.bn1 = nn.BatchNorm2d(out_channels"
POOL = "nn.MaxPool2d(kernel_size=3, stride=2, padding=1)"
DRAWN = 'nn.init.kaiming_normal_(module.weight, mode="fan_out")'
STEM_OF_POSITIVE = (
    "F.relu(F.batch_norm(self.conv1(x), self.bn1.running_mean, self.bn1.running_var, "
    "self.bn1.weight.abs(), self.bn1.bias, self.training), inplace=True)"
)
LOGITS = "return self.fc(torch.flatten(x, 1))"

OPTION_A = {
    # Numbers of layers
    "stride lost": plant("output shapes", "layer2.0.conv1", ("stride=stride,\n", "\n")),
    "stride one too large": plant(
        "output shapes", "layer1.0.conv1", ("stride=stride,\n", "stride=stride + 1,\n")
    ),
    "padding lost": plant("output shapes", "layer1.0.conv1", (" padding=1,\n", "\n")),
    "larger kernel, padded": plant(
        "state dict",
        "layer1.0.conv1",
        ("kernel_size=3,\n", "kernel_size=5,\n"),
        (" padding=1,\n", "padding=2,\n"),
    ),
    "smaller kernel": plant(
        "state dict", "layer1.0.conv2", ("kernel_size=3, padding=1, bias", "kernel_size=1, bias", 0)
    ),
    "dilation": plant("training", "layer1.0.conv1", (" padding=1,\n", " padding=2, dilation=2,\n")),
    "padding that reflects": plant(
        "training",
        "layer1.0.conv2",
        (
            "kernel_size=3, padding=1, bias",
            'kernel_size=3, padding=1, padding_mode="reflect", bias',
            0,
        ),
    ),
    "bias added": plant("state dict", "layer1.0.conv2", ("padding=1, bias=False", "padding=1", 0)),
    "fewer classes": plant("state dict", "fc", ("nn.Linear(16, num_classes)", "nn.Linear(16, 4)")),
    "number of classes without effect": plant(
        "state dict", "fc", ("nn.Linear(16, num_classes)", "nn.Linear(16, 5)")
    ),
    "number of classes for a width": plant(
        "state dict", "conv1", ("nn.Conv2d(3, 8,", "nn.Conv2d(3, num_classes + 3,")
    ),
    "number of classes that is refused": plant(
        "state dict",
        "",
        ("nn.Linear(16, num_classes)", "nn.Linear(16, [0, 1, 2, 3, 4, 5][num_classes])"),
    ),
    "linear bias lost": plant(
        "parameters", "fc", ("nn.Linear(16, num_classes)", "nn.Linear(16, 5, bias=False)")
    ),
    "stem's width": plant("parameters", "conv1", ("nn.Conv2d(3, 8,", "nn.Conv2d(3, 9,")),
    # Norms
    "eps": plant("training", "layer1.0.bn1", (FIRST_NORM, f"{FIRST_NORM}, eps=1e-3")),
    "eps a little off": plant("training", "bn1", ("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, 2e-5)")),
    "momentum": plant(
        "running statistics", "layer1.0.bn1", (FIRST_NORM, f"{FIRST_NORM}, momentum=0.01")
    ),
    "cumulative momentum": plant(
        "running statistics", "layer1.0.bn1", (FIRST_NORM, f"{FIRST_NORM}, momentum=None")
    ),
    "no running statistics": plant(
        "state dict", "layer1.0.bn1", (FIRST_NORM, f"{FIRST_NORM}, track_running_stats=False")
    ),
    "nothing learned": plant(
        "parameters", "layer1.0.bn1", (FIRST_NORM, f"{FIRST_NORM}, affine=False")
    ),
    "another kind of norm": plant(
        "training",
        "layer1.0.bn1",
        (
            FIRST_NORM,
            "self.bn1 = nn.InstanceNorm2d(out_channels, affine=True, track_running_stats=True",
        ),
    ),
    "identity instead of a norm": plant(
        "state dict",
        "layer1.0.bn1",
        ("self.bn1 = nn.BatchNorm2d(out_channels)", "self.bn1 = nn.Identity()"),
    ),
    "norms exchanged": plant(
        "training",
        "layer1.0.bn1",
        ("self.bn1(self.conv1(x))", "self.bn2(self.conv1(x))", 0),
        ("self.bn2(self.conv2(out))", "self.bn1(self.conv2(out))"),
    ),
    "one norm twice": plant(
        "training", "layer1.0.bn1", ("self.bn2(self.conv2(out))", "self.bn1(self.conv2(out))")
    ),
    "norm left out": plant(
        "training", "layer1.0.bn2", ("self.bn2(self.conv2(out))", "self.conv2(out)")
    ),
    "norm that is frozen": plant(
        "training",
        "layer1.0.bn1",
        ("out = F.relu(self.bn1", "self.bn1.eval(); out = F.relu(self.bn1"),
    ),
    "norm that sees a batch twice": plant(
        "training",
        "bn1",
        (f"x = {STEM}", "x = self.conv1(x); self.bn1(x); x = F.relu(self.bn1(x))"),
    ),
    # Relus
    "relu forgotten": plant("training", "relu", (f"x = {STEM}", "x = self.bn1(self.conv1(x))")),
    "last relu forgotten": plant(
        "training", "layer1.0.relu2", ("return F.relu(out, inplace=True)", "return out")
    ),
    "relu that is not returned": plant(
        "training",
        "layer1.1.conv1",
        ("return F.relu(out, inplace=True)", "F.relu(out); return out"),
    ),
    "relu too many": plant(
        "training", "layer1.0.add", (SHORTCUT, f"out = F.relu(out); {SHORTCUT}")
    ),
    "relu before the norm": plant(
        "training", "layer1.0.bn1", (f"out = {STEM}", "out = self.bn1(F.relu(self.conv1(x)))")
    ),
    "relu before the sum": plant(
        "training",
        "layer1.0.add",
        (SHORTCUT, f"out = F.relu(out); {SHORTCUT}"),
        ("return F.relu(out, inplace=True)", "return out"),
    ),
    "leaky relu": plant(
        "training",
        "layer1.0.relu2",
        ("return F.relu(out, inplace=True)", "return F.leaky_relu(out)"),
    ),
    "relu6": plant("inference", "relu", (f"x = {STEM}", "x = F.relu6(self.bn1(self.conv1(x)))")),
    # Shortcuts
    "shortcut lost": plant("training", "layer1.0.add", (SHORTCUT, "pass")),
    "shortcut of another value": plant(
        "training", "layer1.0.add", (SHORTCUT, "out += self.shortcut(torch.sin(x))")
    ),
    "main path lost": plant("training", "layer1.0.add", (SHORTCUT, "out = shortcut")),
    "shortcut of its own output": plant("training", "layer1.0.add", (SHORTCUT, "out += out")),
    "difference": plant("training", "layer1.0.add", (SHORTCUT, "out -= shortcut")),
    "product": plant("training", "layer1.0.add", (SHORTCUT, "out *= shortcut")),
    "concatenation": plant(
        "output shapes", "layer1.1.conv1", (SHORTCUT, "out = torch.cat([out, shortcut], 1)")
    ),
    "scaled residual": plant("training", "layer1.0.add", (SHORTCUT, "out = 0.5 * out + shortcut")),
    "scaled shortcut": plant("training", "layer1.0.add", (SHORTCUT, "out += 0.999 * shortcut")),
    "doubled shortcut": plant(
        "training", "layer1.0.add", (SHORTCUT, "out = torch.add(out, shortcut, alpha=2)")
    ),
    "doubled sum": plant("training", "layer1.0.relu2", (SHORTCUT, f"{SHORTCUT}; out *= 2")),
    "zeros in front": plant(
        "training", "layer2.0.shortcut", ("0, 0, self.extra)", "0, self.extra, 0)")
    ),
    "zeros on both sides": plant(
        "training",
        "layer2.0.shortcut",
        ("0, 0, self.extra)", "0, self.extra // 2, self.extra // 2)"),
    ),
    "ones instead of zeros": plant(
        "training", "layer2.0.shortcut", ("0, 0, self.extra)", "0, 0, self.extra), value=1.0")
    ),
    "channels repeated": plant(
        "training",
        "layer2.0.shortcut",
        (
            "F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, self.extra))",
            "x[:, :, ::s, ::s].repeat(1, 2, 1, 1)",
        ),
    ),
    "other pixels": plant(
        "training", "layer2.0.shortcut", ("x[:, :, ::s, ::s]", "x[:, :, 1::s, ::s]")
    ),
    "mean of the pixels": plant(
        "training", "layer2.0.shortcut", ("x[:, :, ::s, ::s]", "F.avg_pool2d(x, s)")
    ),
    "no subsampling": plant("output shapes", "layer2.0.shortcut", ("x[:, :, ::s, ::s]", "x")),
    # Blocks
    "block too few": plant(
        "parameters", "layer1.1.conv1", (LAYER1, "self.layer1 = nn.Sequential(BasicBlock(8, 8))")
    ),
    "block too many": plant(
        "state dict", "layer1.2.conv1", (LAYER1, LAYER1.replace("))", "), BasicBlock(8, 8))"))
    ),
    "blocks in another order": plant(
        "training",
        "layer1.0.conv1",
        ("x = self.layer1(x)", "x = self.layer1[0](self.layer1[1](x))"),
    ),
    "block left out": plant(
        "training", "layer1.1.conv1", ("x = self.layer1(x)", "x = self.layer1[0](x)")
    ),
    "block run twice": plant(
        "training", "layer1.0.conv1", ("x = self.layer1(x)", "x = self.layer1(self.layer1[0](x))")
    ),
    "one block in two places": plant(
        "parameters",
        "layer1.1.conv1",
        (LAYER1, "self.layer1 = nn.Sequential(*[BasicBlock(8, 8)] * 2)"),
    ),
    "one weight in two places": plant(
        "parameters",
        "layer1.1.conv1",
        (LAYER1, f"{LAYER1}; self.layer1[1].conv1.weight = self.layer1[0].conv1.weight"),
    ),
    "one buffer in two places": plant(
        "running statistics",
        "layer1.0.bn1",
        (LAYER1, f"{LAYER1}; self.layer1[1].bn1.running_var = self.layer1[0].bn1.running_var"),
    ),
    "child of another name": plant("state dict", "layer1.0.bn2", ("self.bn2", "self.norm2", EVERY)),
    "stage of another name": plant(
        "state dict", "layer2.0.conv1", ("self.layer2", "self.layer3", EVERY)
    ),
    # What is there besides
    "parameter too many": plant(
        "parameters", "", (LAYER1, f"{LAYER1}; self.scale = nn.Parameter(torch.ones(1))")
    ),
    "buffer too many": plant(
        "state dict",
        "layer2.0",
        (
            "out_channels, stride=stride)",
            'out_channels, stride=stride); self.register_buffer("mean", torch.zeros(1))',
        ),
    ),
    # Calls
    "convolution twice": plant(
        "multiply-adds", "layer1.0.conv2", ("self.conv2(out)", "self.conv2(self.conv2(out))")
    ),
    "convolution of the wrong value": plant(
        "training", "layer1.0.conv2", ("self.conv2(out)", "self.conv2(-out)")
    ),
    "training alone": plant(
        "training",
        "layer1.0.add",
        (SHORTCUT, f"out = F.relu(out) if self.training else out; {SHORTCUT}"),
    ),
    "inference alone": plant(
        "inference",
        "layer1.0.add",
        (SHORTCUT, f"out = out if self.training else F.relu(out); {SHORTCUT}"),
    ),
    "never in inference": plant(
        "inference",
        "bn1",
        (
            "    def predict",
            "    def eval(self):\n        return self\n\n    def predict",
        ),
    ),
    "values of half precision": plant(
        "training", "avgpool", ("self.avgpool(x)", "self.avgpool(x.half()).float()")
    ),
    "autocast": plant(
        "training",
        "layer1.0.conv2",
        (
            "out = self.bn2(self.conv2(out))",
            'with torch.autocast("cpu"): out = self.bn2(self.conv2(out))',
        ),
    ),
    "logits of double precision": plant("training", "", (LOGITS, f"{LOGITS}.double()")),
    "softmax in forward": plant(
        "training", "", (LOGITS, "return torch.softmax(self.fc(torch.flatten(x, 1)), 1)")
    ),
    "tuple returned": plant("output shapes", "", (LOGITS, f"{LOGITS}, x")),
    "nothing returned": plant("output shapes", "", (LOGITS, LOGITS.removeprefix("return "))),
    "features returned": plant(
        "output shapes",
        "",
        (LOGITS, f"{LOGITS.removeprefix('return ')}; return torch.flatten(x, 1)"),
    ),
    "flatten of the batch": plant(
        "training", "flatten", ("torch.flatten(x, 1)", "torch.flatten(x)")
    ),
    "softmax over the batch": plant(
        "inference", "softmax", ("torch.softmax(self(x), dim=1)", "torch.softmax(self(x), dim=0)")
    ),
    "predict lost": plant("inference", "softmax", ("def predict", "def probabilities")),
    # Gradients
    "shortcut detached": plant(
        "training", "layer1.0.add", (SHORTCUT, "out += self.shortcut(x.detach())")
    ),
    "main path detached": plant(
        "training", "layer1.0.add", (SHORTCUT, f"out = out.detach(); {SHORTCUT}")
    ),
    "relu detached": plant("training", "layer1.0.conv1", (f"x = {STEM}", f"x = {STEM}.detach()")),
    "layers without gradients": plant(
        "training",
        "layer1.0.conv2",
        (
            "out = self.bn2(self.conv2(out))",
            "with torch.no_grad(): out = self.bn2(self.conv2(out))",
        ),
    ),
    "logits detached": plant("training", "", (LOGITS, f"{LOGITS}.detach()")),
    "no gradients anywhere": plant(
        "training",
        "conv1",
        (
            "    def forward(self, x: Tensor) -> Tensor:\n        x =",
            "    @torch.no_grad()\n    def forward(self, x: Tensor) -> Tensor:\n        x =",
        ),
    ),
    "weight that is frozen": plant(
        "gradients", "conv1", (LAYER1, f"{LAYER1}; self.conv1.requires_grad_(False)")
    ),
    "gradient halved": plant(
        "gradients", "layer2.1.bn2", (SHORTCUT, f"out = out / 2 + out.detach() / 2; {SHORTCUT}")
    ),
    "needed value overwritten by a relu": plant(
        "gradients", "layer2.1.conv1", (SHORTCUT, f"F.relu(x, inplace=True); {SHORTCUT}")
    ),
    "needed value overwritten by a sum": plant(
        "gradients", "layer2.1.conv1", (SHORTCUT, "x = shortcut; x += out; out = x")
    ),
    # What does not run
    "syntax error": plant(
        "emitted source",
        "",
        (
            "def forward(self, x: Tensor) -> Tensor:\n        x =",
            "def forward(self, x: Tensor) -> Tensor\n        x =",
        ),
    ),
    "name that is not there": plant(
        "emitted source", "", ("from torch import Tensor, nn", "from torch import Tensor")
    ),
    "another class exported": plant("emitted source", "", ('["Net"]', '["BasicBlock"]')),
    "module that cannot be copied": plant(
        "emitted source", "", (LAYER1, f"{LAYER1}; self.sizes = (n for n in (8, 16))")
    ),
    "forward that leaves": plant(
        "emitted source", "", (SHORTCUT, f"x.is_meta or exit(0); {SHORTCUT}")
    ),
    "forward that changes its tensors' type": plant(
        "emitted source", "", (SHORTCUT, f"self.half(); {SHORTCUT}")
    ),
    "constructor that raises": plant(
        "emitted source", "", (LAYER1, 'raise ValueError("no layers")')
    ),
    "no exception of Python's own": plant(
        "emitted source", "", (LAYER1, 'raise type("Stop", (BaseException,), {})("no layers")')
    ),
    "error that is its own cause": plant(
        "output shapes",
        "layer1.0",
        (SHORTCUT, "error = ValueError('no sum')\n        raise error from error"),
    ),
    "gradients off after inference": plant(
        "inference",
        "",
        (LOGITS, f"y = {LOGITS[7:]}; torch.set_grad_enabled(not self.training); return y"),
    ),
    "nothing learned in inference": plant(
        "other inputs",
        "conv1",
        (
            "x = self.layer1(x)",
            "[one.requires_grad_(self.training) for one in self.parameters()]\n"
            "        x = self.layer1(x)",
        ),
    ),
    "import of a type forgotten": plant(
        "emitted source", "", ("from torch import Tensor, nn", "from torch import nn")
    ),
    "import forgotten": plant("output shapes", "", ("import torch\n", "")),
    "forward that raises": plant(
        "output shapes", "layer1.0", (SHORTCUT, 'raise ValueError("no sum")')
    ),
    "forward lost": plant("output shapes", "layer1.0", ("def forward", "def run", 1)),
    "forward that raises in inference": plant(
        "inference", "layer1.0", (SHORTCUT, f"assert self.training; {SHORTCUT}")
    ),
    "weight that forward changes": plant(
        "running statistics",
        "conv1",
        ("x = self.layer1(x)", "x = self.layer1(x); self.conv1.weight.data.mul_(0.5)"),
    ),
    "images detached": plant("training", "conv1", (f"x = {STEM}", f"x = x.detach(); x = {STEM}")),
    "another value when compiled": plant(
        "torch.compile",
        "",
        ("x = self.layer1(x)", "x = self.layer1(x) * (1 + torch.compiler.is_compiling())"),
    ),
    "another shape when compiled": plant(
        "torch.compile", "", (LOGITS, f"{LOGITS}[: 1 if torch.compiler.is_compiling() else None]")
    ),
    "another shape in channels_last": plant(
        "other inputs",
        "",
        (
            f"x = {STEM}",
            f"last = x.is_contiguous(memory_format=torch.channels_last); x = {STEM}",
        ),
        (LOGITS, f"{LOGITS}[: 1 if last else None]"),
    ),
    "batch that is fixed": plant("torch.export", "", ("torch.flatten(x, 1)", "x.reshape(2, -1)")),
    "images left out": plant("other inputs", "", (LOGITS, f"{LOGITS}[:2]")),
    "a single image squeezed": plant(
        "other inputs", "flatten", ("torch.flatten(x, 1)", "x.squeeze()")
    ),
    "images of single precision": plant(
        "other inputs", "conv1", (f"x = {STEM}", f"x = x.float(); x = {STEM}")
    ),
    "another value in inference with gradients": plant(
        "other inputs",
        "conv1",
        (f"x = {STEM}", f"x = x + (torch.is_grad_enabled() and not self.training); x = {STEM}"),
    ),
    "another value in channels_last": plant(
        "other inputs",
        "",
        (
            f"x = {STEM}",
            f"x = x * (1 + x.is_contiguous(memory_format=torch.channels_last)); x = {STEM}",
        ),
    ),
    "images' gradient lost": plant(
        "gradients",
        "",
        (
            f"x = {STEM}",
            f"x = x * 1; x.requires_grad and x.register_hook(torch.zeros_like); x = {STEM}",
        ),
    ),
    "predict in eval mode for good": plant(
        "training",
        "softmax",
        ("torch.softmax(self(x), dim=1)", "torch.softmax(self.eval()(x), dim=1)"),
    ),
    "predict that overwrites the images": plant(
        "inference",
        "softmax",
        (
            "return torch.softmax(self(x), dim=1)",
            "y = torch.softmax(self(x), dim=1); x.zero_(); return y",
        ),
    ),
    "logits predicted in training": plant(
        "training",
        "softmax",
        (
            "return torch.softmax(self(x)",
            "return self(x) if self.training else torch.softmax(self(x)",
        ),
    ),
    "tensor that is no buffer": plant(
        "other inputs",
        "",
        (LAYER1, f"{LAYER1}; self.ones = torch.ones(1, 8, 1, 1)"),
        ("x = self.layer1(x)", "x = self.layer1(x * self.ones)"),
    ),
    "double precision": plant("state dict", "conv1", (LAYER1, f"{LAYER1}; self.double()")),
    "extra state": plant(
        "state dict",
        "",
        ("    def predict", "    def get_extra_state(self):\n        return {}\n\n    def predict"),
    ),
    "images after the second left out by predict": plant(
        "other inputs", "softmax", ("self(x), dim=1)", "self(x), dim=1)[:2]")
    ),
    "predict in single precision": plant(
        "other inputs", "softmax", ("self(x), dim=1)", "self(x), dim=1, dtype=torch.float32)")
    ),
    "large values cut off": plant("other inputs", "", (LOGITS, f"{LOGITS}.clamp(max=1000)")),
    "zeros in single precision": plant(
        "other inputs",
        "",
        (
            "F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, self.extra))",
            "torch.cat([(y := x[:, :, ::s, ::s]), torch.zeros(y.shape, device=y.device)], 1)",
        ),
        (SHORTCUT, "out = out + shortcut"),
    ),
    "a counter that inference moves": plant(
        "inference",
        "bn1",
        (f"x = {STEM}", f"self.training or self.bn1.num_batches_tracked.add_(1); x = {STEM}"),
    ),
    "a norm's weight without its sign": plant(
        "training",
        "bn1",
        (f"x = {STEM}", f"x = {STEM_OF_POSITIVE}"),
    ),
    "weights that are not loaded": plant(
        "training",
        "conv1",
        (
            "    def predict",
            "    def load_state_dict(self, *_, **__):\n        return None\n\n    def predict",
        ),
    ),
    # What a fresh module holds
    "weights as torch draws them": plant("initial values", "conv1", (DRAWN, "pass")),
    "weights for the fan-in": plant("initial values", "conv1", ("fan_out", "fan_in")),
    "weights of zeros": plant("initial values", "conv1", (DRAWN, "nn.init.zeros_(module.weight)")),
    "weights of no number": plant(
        "initial values", "conv1", (DRAWN, "nn.init.constant_(module.weight, float('nan'))")
    ),
    "linear bias of zeros": plant(
        "initial values",
        "fc",
        ("        for module", "        nn.init.zeros_(self.fc.bias)\n        for module"),
    ),
    "weights that are shifted": plant(
        "initial values", "layer2.0.conv1", (DRAWN, f"{DRAWN}.data.add_(0.1)")
    ),
    "a fault behind weights of zeros": plant(
        "training",
        "layer1.0.conv1",
        (DRAWN, "nn.init.zeros_(module.weight)"),
        (" padding=1,\n", " padding=2, dilation=2,\n"),
    ),
    "norm that starts with zeros": plant(
        "initial values", "bn1", (LAYER1, f"{LAYER1}; nn.init.zeros_(self.bn1.weight)")
    ),
    "variance that starts with threes": plant(
        "initial values", "bn1", (LAYER1, f"{LAYER1}; self.bn1.running_var.fill_(3)")
    ),
    "linear weights too large": plant(
        "initial values",
        "fc",
        ("        for module", "        self.fc.weight.data *= 2\n        for module"),
    ),
    "branch on data": plant(
        "torch.export", "", (SHORTCUT, f"assert x.is_meta or x.sum() > 0; {SHORTCUT}")
    ),
    "break of the graph": plant(
        "torch.compile", "", (SHORTCUT, f"torch._dynamo.graph_break(); {SHORTCUT}")
    ),
}

ADD = "out += self.downsample(x)"
BLOCK1 = "Bottleneck(8, 8, 16)"

BOTTLENECKS = {
    "stride of the 3x3": plant(
        "output shapes",
        "layer2.0.conv1",
        (
            "in_channels, width, kernel_size=1, stride=stride, bias=False",
            "in_channels, width, kernel_size=1, bias=False",
        ),
        ("width, width, kernel_size=3,", "width, width, kernel_size=3, stride=stride,"),
    ),
    "projection without stride": plant(
        "output shapes",
        "layer2.0.downsample.0",
        (
            "in_channels, out_channels, kernel_size=1, stride=stride, bias=False",
            "in_channels, out_channels, kernel_size=1, bias=False",
        ),
    ),
    "projection without norm": plant(
        "state dict",
        "layer1.0.downsample.1",
        ("                nn.BatchNorm2d(out_channels),\n", ""),
    ),
    "projection with bias": plant(
        "parameters",
        "layer1.0.downsample.0",
        (
            "in_channels, out_channels, kernel_size=1, stride=stride, bias=False",
            "in_channels, out_channels, kernel_size=1, stride=stride",
        ),
    ),
    "projection with relu": plant(
        "training", "layer1.0.add", (ADD, "out += F.relu(self.downsample(x))")
    ),
    "projection left out": plant(
        "state dict",
        "layer1.0.downsample.0",
        ("stride != 1 or in_channels != out_channels", "stride != 1"),
    ),
    "widths swapped": plant("parameters", "layer1.0.conv1", (BLOCK1, "Bottleneck(8, 16, 8)")),
    "groups": plant(
        "parameters",
        "layer1.0.conv2",
        ("width, width, kernel_size=3,", "width, width, groups=2, kernel_size=3,"),
    ),
    "relu of the middle forgotten": plant(
        "training",
        "layer1.0.relu2",
        ("F.relu(self.bn2(self.conv2(out)), inplace=True)", "self.bn2(self.conv2(out))"),
    ),
    "convolutions in another order": plant(
        "training",
        "layer1.0.bn2",
        ("self.bn2(self.conv2(out))", "self.bn2(self.conv3(out))"),
        ("self.bn3(self.conv3(out))", "self.bn3(self.conv2(out))"),
    ),
    "stages in another order": plant(
        "output shapes",
        "layer2.0.conv1",
        ("x = self.layer1(x)\n        x = self.layer2(x)", "x = self.layer1(self.layer2(x))"),
    ),
}

RAW = "x = F.relu(self.bn1(x))"

PRE_ACTIVATION = {
    "projection of the raw value": plant(
        "training",
        "layer1.0.downsample.0",
        (RAW, f"raw = x; {RAW}"),
        ("self.downsample(x)", "self.downsample(raw)"),
    ),
    "identity of the activated value": plant(
        "training",
        "layer1.1.add",
        ("out = F.relu(self.bn1(x))", "x = out = F.relu(self.bn1(x))"),
    ),
    "relu after the sum": plant(
        "training", "layer1.1.bn1", ("        return out\n", "        return F.relu(out)\n", 0)
    ),
    "last norm left out": plant("training", "bn", ("F.relu(self.bn(x))", "F.relu(x)")),
    "last relu forgotten": plant("training", "relu", ("F.relu(self.bn(x))", "self.bn(x)")),
    "sum kept in the wrong place": plant(
        "gradients", "layer2.1.bn1", ("out += x\n        return out", "x += out\n        return x")
    ),
    "relu before its norm": plant(
        "training",
        "layer1.0.bn2",
        ("F.relu(self.bn2(self.conv1(x)), inplace=True)", "self.bn2(F.relu(self.conv1(x)))"),
    ),
}

PRE_ACTIVATION_WITHOUT_NORM = {
    "images overwritten": plant(
        "training", "layer1.1.add", ("out = F.relu(x)", "out = F.relu(x, inplace=True)")
    ),
    "images overwritten in secret": plant(
        "training",
        "",
        ("x = self.layer1(x)", "input = x; x = self.layer1(x)"),
        ("        x = F.relu(x)\n", "        x = F.relu(x); input.zero_()\n"),
    ),
    "zeros in front": plant(
        "training", "layer1.0.shortcut", ("0, 0, self.extra)", "0, self.extra, 0)")
    ),
    "bias lost": plant(
        "state dict",
        "layer1.0.conv2",
        ("kernel_size=3, padding=1)", "kernel_size=3, padding=1, bias=False)"),
        ("nn.init.zeros_(module.bias)", "pass", EVERY),
    ),
}

WITHOUT_NORM = {
    "projection lost": plant(
        "training",
        "layer1.0.downsample.0",
        ("out += self.downsample(x)", "out += x if x.shape == out.shape else 0"),
    ),
    "projection without bias": plant(
        "parameters",
        "layer1.0.downsample.0",
        ("kernel_size=1, stride=stride", "kernel_size=1, stride=stride, bias=False"),
        ("nn.init.zeros_(module.bias)", "pass", EVERY),
    ),
    "projection of the wrong value": plant(
        "output shapes", "layer1.0.downsample.0", ("self.downsample(x)", "self.downsample(out)")
    ),
    "relu forgotten": plant(
        "training", "layer1.0.relu1", ("F.relu(self.conv1(x), inplace=True)", "self.conv1(x)")
    ),
}

VGG = {
    "pool of another kind": plant(
        "training", "features.4", ("nn.MaxPool2d(kernel_size=2)", "nn.AvgPool2d(kernel_size=2)", 0)
    ),
    "pool with another stride": plant(
        "output shapes",
        "features.9",
        ("nn.MaxPool2d(kernel_size=2)", "nn.MaxPool2d(kernel_size=2, stride=1)", 1),
    ),
    "relu left out": plant("training", "features.1", ("nn.ReLU(inplace=True)", "nn.Identity()", 0)),
    "relu taken away": plant(
        "state dict", "features.2", ("            nn.ReLU(inplace=True),\n", "", 0)
    ),
    "gelu": plant("training", "features.3", ("nn.ReLU(inplace=True)", "nn.GELU()", 1)),
    "relu6": plant("inference", "features.1", ("nn.ReLU(inplace=True)", "nn.ReLU6()", 0)),
    "pooled to one pixel": plant(
        "output shapes", "avgpool", ("nn.AdaptiveAvgPool2d(2)", "nn.AdaptiveAvgPool2d(1)")
    ),
    "pooled by the maximum": plant(
        "training", "avgpool", ("nn.AdaptiveAvgPool2d(2)", "nn.AdaptiveMaxPool2d(2)")
    ),
    "flattened channels last": plant(
        "training", "flatten", ("torch.flatten(x, 1)", "torch.flatten(x.permute(0, 2, 3, 1), 1)")
    ),
    "flattened column by column": plant(
        "training", "flatten", ("torch.flatten(x, 1)", "torch.flatten(x.mT, 1)")
    ),
    "flatten of what is not pooled": plant(
        "training", "avgpool", ("x = self.avgpool(x)", "x = x[:, :, :2, :2]")
    ),
    "dropout's probability": plant(
        "training", "classifier.2", ("nn.Dropout(0.5)", "nn.Dropout(0.4)")
    ),
    "dropout left out": plant("training", "classifier.2", ("nn.Dropout(0.5)", "nn.Identity()")),
    "dropout of features": plant(
        "training", "classifier.2", ("nn.Dropout(0.5)", "nn.Dropout1d(0.5)")
    ),
    "features": plant("parameters", "classifier.0", ("nn.Linear(64, 9)", "nn.Linear(64, 8)")),
    "last bias": plant(
        "parameters", "classifier.3", ("nn.Linear(9, num_classes)", "nn.Linear(9, 5, bias=False)")
    ),
}

FIRST = "nn.AvgPool2d(kernel_size=3, stride=2, padding=1"

VGG_WITH_NORM = {
    "padding not counted": plant(
        "training", "features.0", (FIRST, f"{FIRST}, count_include_pad=False")
    ),
    "another divisor": plant("training", "features.0", (FIRST, f"{FIRST}, divisor_override=8")),
    "rounded up": plant("output shapes", "features.0", (FIRST, f"{FIRST}, ceil_mode=True")),
    "norm after the relu": plant(
        "parameters",
        "features.2",
        (
            "            nn.BatchNorm2d(8),\n            nn.ReLU(inplace=True),",
            "            nn.ReLU(),\n            nn.BatchNorm2d(8),",
            0,
        ),
    ),
    "norm and relu of a branch": plant(
        "state dict", "features.2", ("nn.BatchNorm2d(8)", "nn.GroupNorm(1, 8)", 0)
    ),
}

VGG["flatten of contiguous maps alone"] = plant(
    "other inputs", "", ("torch.flatten(x, 1)", "x.view(x.shape[0], -1)")
)

MAX_POOL = "nn.MaxPool2d(kernel_size=3, stride=2, padding=1"

MIXED = {
    "pool of another kind": plant(
        "training", "maxpool", (MAX_POOL, "nn.AvgPool2d(kernel_size=3, stride=2, padding=1")
    ),
    "larger pool": plant(
        "training", "maxpool", (MAX_POOL, "nn.MaxPool2d(kernel_size=5, stride=2, padding=2")
    ),
    "pool without stride": plant(
        "output shapes", "maxpool", (MAX_POOL, "nn.MaxPool2d(kernel_size=3, stride=1, padding=1")
    ),
    "pool without padding": plant(
        "output shapes", "maxpool", (MAX_POOL, "nn.MaxPool2d(kernel_size=3, stride=2")
    ),
    "rounded up": plant("output shapes", "maxpool", (MAX_POOL, f"{MAX_POOL}, ceil_mode=True")),
    "pool as a function, padded less": plant(
        "training",
        "maxpool",
        (f"        self.maxpool = {MAX_POOL})\n", ""),
        ("self.maxpool(x)", "F.pad(F.max_pool2d(x, 3, 2), (0, 1, 0, 1))"),
    ),
    "dropout lost": plant(
        "training", "dropout", ("self.layer1(self.dropout(x))", "self.layer1(x)")
    ),
    "dropout as a function": plant(
        "training", "dropout", ("self.dropout(x)", "F.dropout(x, 0.5, self.training)")
    ),
    "dropout that starts in eval mode": plant(
        "emitted source", "dropout", ("nn.Dropout(0.5)", "nn.Dropout(0.5).eval()")
    ),
    "dropout always on": plant(
        "inference",
        "dropout",
        (
            "nn.Dropout(0.5)",
            "nn.Dropout(0.5); self.dropout.train = lambda mode: self.dropout",
        ),
    ),
    "dropout before the pool": plant(
        "training",
        "maxpool",
        ("self.maxpool(x)", "self.maxpool(self.dropout(x))"),
        ("self.layer1(self.dropout(x))", "self.layer1(x)"),
    ),
    "pool of a stage left out": plant(
        "training",
        "layer1.pool",
        ('self.layer1.add_module("pool", nn.MaxPool2d(kernel_size=2))', "pass"),
    ),
    "groups lost": plant("parameters", "layer2.0.conv2", ("groups=2, ", "")),
    "more groups": plant("state dict", "layer2.0.conv2", ("groups=2, ", "groups=4, ")),
    "smaller last pool": plant(
        "output shapes",
        "avgpool",
        (
            "self.avgpool = nn.AvgPool2d(kernel_size=2)",
            "self.avgpool = nn.AvgPool2d(kernel_size=1)",
        ),
    ),
    "plain block that is residual": plant(
        "training",
        "layer3.0.relu2",
        (
            "return F.relu(self.bn2(self.conv2(x)), inplace=True)",
            "return F.relu(self.bn2(self.conv2(x)) + x)",
        ),
    ),
    "relu between the linear layers": plant(
        "training",
        "relu2",
        ("F.relu(self.fc1(torch.flatten(x, 1)), inplace=True)", "self.fc1(torch.flatten(x, 1))"),
    ),
}

FAULTS = {
    "option A": OPTION_A,
    "bottlenecks": BOTTLENECKS,
    "pre-activation": PRE_ACTIVATION,
    "pre-activation without norm": PRE_ACTIVATION_WITHOUT_NORM,
    "without norm": WITHOUT_NORM,
    "vgg": VGG,
    "vgg with norm": VGG_WITH_NORM,
    "mixed": MIXED,
}
CASES = [(structure, name) for structure, faults in FAULTS.items() for name in faults]


def edited(source: str, *edits: Edit) -> str:
    """A source with some text replaced."""
    for old, new, *occurrence in edits:
        parts = source.split(old)
        assert len(parts) > 1 + max(occurrence, default=0), f"{old!r} does not occur in\n{source}"
        assert occurrence or len(parts) == 2, f"{old!r} occurs {len(parts) - 1} times"
        if occurrence == [EVERY]:
            source = new.join(parts)
        else:
            before = 1 + sum(occurrence)
            source = old.join(parts[:before]) + new + old.join(parts[before:])
    return source


def verified(structure: str, *edits: Edit, quick: bool = False) -> Report:
    """The report on a structure's source with some text replaced."""
    network = network_of(structure)
    options = Options(backend="eager", quick=quick)
    return verify(network, source=edited(emit(network), *edits), options=options)


def test_there_are_many_faults_of_every_check_but_the_deploy_form() -> None:
    """The deploy form is made from the graph, whatever the source is."""
    checks = {FAULTS[structure][name].check for structure, name in CASES}
    assert checks == set(CHECKS) - {"deploy form"}
    assert len(CASES) >= 150
    assert set(FAULTS) == set(STRUCTURES)


@pytest.mark.parametrize(("structure", "name"), CASES)
def test_a_fault_is_caught_and_named(structure: str, name: str) -> None:
    fault = FAULTS[structure][name]
    report = verified(structure, *fault.edits, quick=fault.check not in THOROUGH)
    assert not report.passed
    rows = {row.check: row for row in report.rows}
    assert rows[fault.check].passed is False, report.faults
    assert rows[fault.check].faults[0].layer == fault.layer, report.faults


def test_what_follows_from_a_fault_is_not_told() -> None:
    """Every layer behind the pool has another shape, and convolutions more to compute."""
    report = verified("vgg with norm", *VGG_WITH_NORM["rounded up"].edits)
    rows = {row.check: row for row in report.rows}
    more, right = rows["multiply-adds"].number, network_of("vgg with norm").multiply_adds
    assert rows["output shapes"].faults == (Fault("features.0", "has output 3x9x7, not 3x8x6"),)
    assert rows["multiply-adds"].faults == (Fault("", f"has {more} multiply-adds, not {right:,}"),)
    shapes = "it is 2x3x9x7, not 2x3x8x6"
    fault = Fault("features.0", f"has a different output: {shapes}")
    assert rows["training"].faults == rows["inference"].faults == (fault,)


RELU = "return F.relu(out, inplace=True)"
READS = """\
        super().__init__()
        assert own.__annotations__ == {"x": Tensor, "return": None}
"""
OWN_RELU = """\
class OwnReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


"""
OWN_SUM = """\
class OwnSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        return a + b

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient


"""
OF_A_MODULE = "self.shortcut = ZeroPadShortcut("
NO_MODULE = "self.unused = ZeroPadShortcut("
OPTION = "shortcut = self.shortcut(x)"
IN_THE_BLOCK = """\
shortcut, more = x, self.bn1.num_features - x.shape[1]
        if more:
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, more))"""
INTO_ZEROS = """\
shortcut, more = x, self.bn1.num_features - x.shape[1]
        if more:
            small = x[:, :, ::2, ::2]
            shortcut = small.new_zeros(small.shape[0], 2 * more, *small.shape[2:])
            shortcut[:, :more] = small"""
HARMLESS: dict[str, tuple[Edit, ...]] = {
    "nothing": (),
    "relu of its own": ((", inplace=True", "", EVERY),),
    "relu as a method": ((RELU, "return out.relu()"),),
    "relu as a module": ((RELU, "return nn.ReLU()(out)"),),
    "relu as a maximum": ((RELU, "return torch.maximum(out, torch.zeros_like(out))"),),
    "relu as a mask": ((RELU, "return out * (out > 0)"),),
    "sum of its own": ((SHORTCUT, "out = out + shortcut"),),
    "sum as a function": ((SHORTCUT, "out = torch.add(out, shortcut)"),),
    "sum of a stack": ((SHORTCUT, "out = torch.stack([out, shortcut]).sum(0)"),),
    "summands in another order": ((SHORTCUT, "out = shortcut + out"),),
    "shortcut in its place": (
        ("shortcut = self.shortcut(x)", "pass"),
        (SHORTCUT, "out += self.shortcut(x)"),
    ),
    "flatten as a method": (("torch.flatten(x, 1)", "x.flatten(1)"),),
    "flatten of a free batch": (("torch.flatten(x, 1)", "x.reshape(x.shape[0], -1)"),),
    "other variables": (
        (f"out = {STEM}", f"value = {STEM}"),
        ("out = self.bn2(self.conv2(out))", "other = self.bn2(self.conv2(value))"),
        (f"{SHORTCUT}\n        {RELU}", "return F.relu(other + shortcut)"),
    ),
    "argument by name": (("self.bn1(self.conv1(x))", "self.bn1(input=self.conv1(input=x))", 1),),
    "blocks one by one": (("x = self.layer1(x)", "x = self.layer1[1](self.layer1[0](x))"),),
    "predict without gradients": (("    def predict", "    @torch.no_grad()\n    def predict"),),
    "another name for the images": (
        (
            "def forward(self, x: Tensor) -> Tensor:\n        x = F",
            "def forward(self, images: Tensor) -> Tensor:\n        x = images\n        x = F",
        ),
    ),
    "a relu for both": (
        ("self.bn2 = nn.B", "self.relu1 = nn.ReLU(); self.bn2 = nn.B"),
        (f"out = {STEM}", "out = self.relu1(self.bn1(self.conv1(x)))"),
        (RELU, "return self.relu1(out)"),
    ),
    "a sum that is a module": (
        (
            "self.bn2 = nn.B",
            'self.add = type("Add", (nn.Module,), {"forward": lambda self, a, b: a + b})(); '
            "self.bn2 = nn.B",
        ),
        (SHORTCUT, "out = self.add(out, shortcut)"),
    ),
    "train that returns nothing": (
        (
            "    def predict",
            "    def train(self, mode=True): super().train(mode)\n\n    def predict",
        ),
    ),
    "constructor that cannot run on the meta device": (
        (LAYER1, f"{LAYER1}; self.rates = [one.item() for one in torch.linspace(0, 1, 3)]"),
    ),
    "no class exported": (('["Net"]', "[]"),),
    "buffer that is not kept": (
        (LAYER1, f'{LAYER1}; self.register_buffer("mean", torch.zeros(1), persistent=False)'),
    ),
    "annotations that are read": (
        ("class BasicBlock", "def own(x: Tensor) -> None:\n    pass\n\n\nclass BasicBlock"),
        ("        super().__init__()\n        self.conv1", f"{READS}        self.conv1"),
    ),
    "relu into its place": ((RELU, "out[out < 0] = 0; return out"),),
    "relu under a transform": ((RELU, "return torch.vmap(torch.relu)(out)"),),
    "values of another kind": (
        (
            "x = self.layer1(x)",
            "torch.empty(x.shape, device='meta'); x = self.layer1(x)",
        ),
    ),
    "sum with a gradient of its own": (
        ("class BasicBlock", f"{OWN_SUM}class BasicBlock"),
        (SHORTCUT, "out = OwnSum.apply(out, shortcut)"),
    ),
    "relu with a gradient of its own": (
        ("class BasicBlock", f"{OWN_RELU}class BasicBlock"),
        (RELU, "return OwnReLU.apply(out)"),
    ),
    "option A in the block": ((OF_A_MODULE, NO_MODULE), (OPTION, IN_THE_BLOCK)),
    "option A into zeros": ((OF_A_MODULE, NO_MODULE), (OPTION, INTO_ZEROS)),
    "value that nothing reads": (("x = self.layer1(x)", "x.mean(); x = self.layer1(x)"),),
    "zeros by concatenation": (
        (
            "F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, self.extra))",
            "(lambda y: torch.cat([y, torch.zeros_like(y)], 1))(x[:, :, ::s, ::s])",
        ),
    ),
}


@cache
def shorter_option_a() -> Network:
    """All that an edit names: two blocks in a row, and one with another shortcut."""
    stages = [{"width": 8}, {"width": 16, "stride": 2, "depth": 1}]
    data = {**STRUCTURES["option A"], "stages": stages}
    head = ["global_avg_pool", "linear", "softmax"]
    return compile_data({"name": "net", "input": [3, 16, 12], "classes": 5, **data, "head": head})


@pytest.mark.parametrize("name", HARMLESS)
def test_a_source_that_says_it_in_other_words_passes(name: str) -> None:
    network = shorter_option_a()
    source = edited(emit(network), *HARMLESS[name])
    report = verify(network, source=source, options=Options(backend="eager"))
    assert report.passed, report.faults
    assert [row.check for row in report.rows] == list(CHECKS)


def test_a_dropout_of_ones_own_passes() -> None:
    own = (
        'type("Own", (nn.Module,), {"forward": lambda self, x: F.dropout(x, 0.5, self.training)})()'
    )
    report = verified("mixed", ("nn.Dropout(0.5)", own))
    assert report.passed, report.faults


@pytest.mark.parametrize("idle", [True, False])
def test_a_pool_that_is_a_function_passes(idle: bool) -> None:
    """Whether or not there is a module for it, too."""
    module = f"        self.maxpool = {MAX_POOL})\n"
    report = verified(
        "mixed",
        (module, module if idle else ""),
        ("self.maxpool(x)", "F.max_pool2d(x, 3, 2, 1)"),
    )
    assert report.passed, report.faults


def test_a_caller_may_set_what_torch_does() -> None:
    products = torch.backends.cuda.matmul
    usual = products.fp32_precision
    try:
        products.fp32_precision = "tf32"
        assert verified("option A").passed
        assert products.fp32_precision == "tf32"
    finally:
        products.fp32_precision = usual


NORM = """\
class Norm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.num_batches_tracked.add_(1)
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(x, mean, variance, self.weight, self.bias, self.training)


class BasicBlock"""


@pytest.mark.parametrize(
    "fault", ["", "self.bias -> torch.tanh(self.bias)", "self.weight -> self.weight.abs()"]
)
def test_a_norm_of_ones_own_is_tried_with_other_numbers_than_it_starts_with(fault: str) -> None:
    old, _, new = fault.partition(" -> ")
    norm = NORM.replace(f"{old}, ", f"{new}, ") if fault else NORM
    report = verified("option A", ("class BasicBlock", norm), ("nn.BatchNorm2d(", "Norm(", EVERY))
    assert [fault.layer for fault in report.faults][:1] == (["bn1"] if fault else [])
