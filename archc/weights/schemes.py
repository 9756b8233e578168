"""How other projects name the tensors of networks that archc has specs of.

A scheme is a table: on each line the path of a module as they write it and as archc does, which is
torchvision's for most networks. ``<s>`` stands for a number, and what is computed from it for
another one: ``<s+1>``, ``<2s+1>``. A path that no line has is the same for both.

Where the modules inside of a block are called differently from one kind of block to the next,
`Blocks` has a line for each kind: their modules in order, and archc's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import chain

from archc.dataclassing import dataclass

_NUMBER = re.compile(r"<(\d*)([a-zA-Z#])([+-]\d+)?>")
"""A number in a path: ``<b>``, ``<s+1>``, ``<2s>``."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of a network: their path, what archc's paths begin with, and the kinds of block.

    In archc's path ``<#>`` is how many blocks come before, in order of their numbers. A kind is
    ``THEIRS = OURS``, modules by their paths inside of the block; a long one may go on below,
    before its ``=``.
    """

    theirs: str
    ours: str
    kinds: str


@dataclass(frozen=True)
class Scheme:
    """How a project names the modules of a family of networks.

    ``paths`` is the table of paths. In archc's, ``<S>`` and ``<N>`` are how many different values
    of ``<s>`` the blocks have, and how many blocks there are. With ``reshapes`` tensors may have
    other shapes of as many values, in the same order: a 7x7 convolution over a 7x7 map is a linear
    layer. ``tensors`` are names of tensors that torch calls differently, which stand behind
    ``separator``.
    """

    name: str
    paths: str
    blocks: Blocks | None = None
    reshapes: bool = False
    separator: str = "."
    tensors: Mapping[str, str] = field(default_factory=dict)

    def matches(self, key: str) -> bool:
        """Whether some line of the table has the module of a tensor, or the tensor."""
        return any(self._any.fullmatch(path) for path in (key, self._split(key)[0]))

    def renamed(self, keys: Iterable[str]) -> dict[str, str]:
        """archc's key for each of some keys; those that the table has not stay as they are."""
        split = {key: self._split(key) for key in keys}
        modules = dict.fromkeys(chain(split, (path for path, _ in split.values())))
        paths = self._paths(modules)
        return {
            key: paths.get(key) or (f"{paths[path]}.{name}" if path in paths else key)
            for key, (path, name) in split.items()
        }

    def _split(self, key: str) -> tuple[str, str]:
        """A key as the path of its module and the name of the tensor."""
        path, separator, name = key.rpartition(self.separator)
        return path, self.tensors.get(name, name) if separator else key

    def _paths(self, modules: Iterable[str]) -> dict[str, str]:
        """archc's path for each of some modules that the table has."""
        rows = {path: self._row_of(path) for path in modules if self._any.fullmatch(path)}
        found: dict[str, str] = {}
        counts: dict[str, int] = {}
        if self.blocks is not None:
            inside = _by_block(self._block, [path for path, row in rows.items() if row is None])
            counts = {"S": len({numbers[0] for numbers in inside}), "N": len(inside)}
            for index, (numbers, names) in enumerate(sorted(inside.items())):
                root = _filled(self.blocks.ours, {**self._named(numbers), "#": index})
                for name, ours in _kind_of(names, self._kinds).items():
                    found[names[name]] = f"{root}.{ours}"
        for path, row in rows.items():
            if row is not None:
                ours, numbers_in = row
                found[path] = _filled(ours, {**counts, **numbers_in})
        return found

    def _row_of(self, path: str) -> tuple[str, dict[str, int]] | None:
        """archc's path of the first line that has a path, and the numbers in theirs."""
        for row, ours in self._rows:
            if match := row.fullmatch(path):
                return ours, {name: int(value) for name, value in match.groupdict().items()}
        return None

    def _named(self, numbers: tuple[int, ...]) -> dict[str, int]:
        return dict(zip(self._block.groupindex, numbers, strict=True))

    @cached_property
    def _rows(self) -> list[tuple[re.Pattern[str], str]]:
        rows = [line.split() for line in self.paths.splitlines() if line.strip()]
        return [(re.compile(_pattern(theirs)), ours) for theirs, ours in rows]

    @cached_property
    def _any(self) -> re.Pattern[str]:
        """Any path that the table has."""
        paths = [_anonymous(row.pattern) for row, _ in self._rows]
        if self.blocks is not None:
            names = sorted({re.escape(name) for kind in self._kinds for name in kind})
            paths.append(rf"{_anonymous(self._block.pattern)}\.(?:{'|'.join(names)})")
        return re.compile("|".join(paths))

    @cached_property
    def _block(self) -> re.Pattern[str]:
        assert self.blocks is not None
        return re.compile(_pattern(self.blocks.theirs))

    @cached_property
    def _kinds(self) -> list[dict[str, str]]:
        assert self.blocks is not None
        lines = re.sub(r"\s*\n\s*=", " =", self.blocks.kinds).splitlines()
        sides = [line.split("=") for line in lines if line.strip()]
        return [dict(zip(a.split(), b.split(), strict=True)) for a, b in sides]


def _pattern(path: str) -> str:
    """The regular expression of a path with numbers in it."""
    parts = re.split(r"(<\w>)", path)
    return "".join(
        rf"(?P<{part[1]}>\d{{1,6}})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )


def _anonymous(pattern: str) -> str:
    """A regular expression whose groups have no names."""
    return re.sub(r"\(\?P<\w>", "(?:", pattern)


def _filled(path: str, numbers: Mapping[str, int]) -> str:
    """A path with its numbers."""
    return _NUMBER.sub(
        lambda found: str(int(found[1] or 1) * numbers[found[2]] + int(found[3] or 0)), path
    )


def _by_block(
    block: re.Pattern[str], modules: Iterable[str]
) -> dict[tuple[int, ...], dict[str, str]]:
    """The modules of each block by their path inside of it, the blocks by their numbers."""
    inside: dict[tuple[int, ...], dict[str, str]] = {}
    start = re.compile(rf"{block.pattern}\.(?P<inner>.+)")
    for path in modules:
        if match := start.fullmatch(path):
            groups = match.groupdict()
            inner = groups.pop("inner")
            inside.setdefault(tuple(map(int, groups.values())), {})[inner] = path
    return inside


def _kind_of(names: Iterable[str], kinds: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """archc's names for the modules of a block: of the kind that has just these, or else the first
    that has all of them; none where there is no such kind."""
    found = set(names)
    exact = [kind for kind in kinds if kind.keys() == found]
    holding = [kind for kind in kinds if kind.keys() >= found]
    chosen = next(iter(exact or holding), {})
    return {name: ours for name, ours in chosen.items() if name in found}


_TIMM_EFFICIENTNET = """
    conv_dw bn1 conv_pw bn2 = 0.0 0.1 1.0 1.1
    conv_dw bn1 se.conv_reduce se.conv_expand conv_pw bn2 = 0.0 0.1 1.fc1 1.fc2 2.0 2.1
    conv_pw bn1 conv_dw bn2 conv_pwl bn3 = 0.0 0.1 1.0 1.1 2.0 2.1
    conv_pw bn1 conv_dw bn2 se.conv_reduce se.conv_expand conv_pwl bn3
        = 0.0 0.1 1.0 1.1 2.fc1 2.fc2 3.0 3.1
    conv_exp bn1 conv_pwl bn2 = 0.0 0.1 1.0 1.1
    conv bn1 = 0.0 0.1
"""
"""Blocks of EfficientNets, beginning with a depthwise convolution, with an expansion, or fused."""

_TIMM_MOBILENET_V3 = """
    conv_dw bn1 conv_pw bn2 = block.0.0 block.0.1 block.1.0 block.1.1
    conv_dw bn1 se.conv_reduce se.conv_expand conv_pw bn2
        = block.0.0 block.0.1 block.1.fc1 block.1.fc2 block.2.0 block.2.1
    conv_pw bn1 conv_dw bn2 conv_pwl bn3
        = block.0.0 block.0.1 block.1.0 block.1.1 block.2.0 block.2.1
    conv_pw bn1 conv_dw bn2 se.conv_reduce se.conv_expand conv_pwl bn3
        = block.0.0 block.0.1 block.1.0 block.1.1 block.2.fc1 block.2.fc2 block.3.0 block.3.1
    conv bn1 = 0 1
"""

SCHEMES: tuple[Scheme, ...] = (
    Scheme(
        "CIFAR ResNets with `linear`",  # of kuangliu, akamaster and others
        """
        linear                    fc
        layer<s>.<b>.shortcut.<i> layer<s>.<b>.downsample.<i>
        """,
    ),
    Scheme(
        "timm's RegNet",
        """
        stem.conv                    stem.0
        stem.bn                      stem.1
        s<s>.b<b>.conv1.conv         trunk_output.block<s>.block<s>-<b-1>.f.a.0
        s<s>.b<b>.conv1.bn           trunk_output.block<s>.block<s>-<b-1>.f.a.1
        s<s>.b<b>.conv2.conv         trunk_output.block<s>.block<s>-<b-1>.f.b.0
        s<s>.b<b>.conv2.bn           trunk_output.block<s>.block<s>-<b-1>.f.b.1
        s<s>.b<b>.se.fc<i>           trunk_output.block<s>.block<s>-<b-1>.f.se.fc<i>
        s<s>.b<b>.conv3.conv         trunk_output.block<s>.block<s>-<b-1>.f.c.0
        s<s>.b<b>.conv3.bn           trunk_output.block<s>.block<s>-<b-1>.f.c.1
        s<s>.b<b>.downsample.conv    trunk_output.block<s>.block<s>-<b-1>.proj.0
        s<s>.b<b>.downsample.bn      trunk_output.block<s>.block<s>-<b-1>.proj.1
        head.fc                      fc
        """,
    ),
    Scheme(
        "timm's EfficientNet",
        """
        conv_stem  features.0.0
        bn1        features.0.1
        conv_head  features.<S+1>.0
        bn2        features.<S+1>.1
        classifier classifier.1
        """,
        Blocks("blocks.<s>.<b>", "features.<s+1>.<b>.block", _TIMM_EFFICIENTNET),
    ),
    Scheme(
        "timm's MobileNetV2",
        """
        conv_stem  features.0.0
        bn1        features.0.1
        conv_head  features.<N+1>.0
        bn2        features.<N+1>.1
        classifier classifier.1
        """,
        Blocks(
            "blocks.<s>.<b>",
            "features.<#+1>.conv",
            """
            conv_dw bn1 conv_pw bn2 = 0.0 0.1 1 2
            conv_pw bn1 conv_dw bn2 conv_pwl bn3 = 0.0 0.1 1.0 1.1 2 3
            """,
        ),
    ),
    Scheme(
        "timm's MobileNetV3",
        """
        conv_stem  features.0.0
        bn1        features.0.1
        conv_head  classifier.0
        classifier classifier.3
        """,
        Blocks("blocks.<s>.<b>", "features.<#+1>", _TIMM_MOBILENET_V3),
        reshapes=True,  # its last hidden layer is a 1x1 convolution
    ),
    Scheme(
        "timm's MNASNet",
        """
        conv_stem          layers.0
        bn1                layers.1
        blocks.0.0.conv_dw layers.3
        blocks.0.0.bn1     layers.4
        blocks.0.0.conv_pw layers.6
        blocks.0.0.bn2     layers.7
        conv_head          layers.<S+8>
        bn2                layers.<S+9>
        classifier         classifier.1
        """,
        Blocks(
            "blocks.<s>.<b>",
            "layers.<s+7>.<b>.layers",
            "conv_pw bn1 conv_dw bn2 conv_pwl bn3 = 0 1 3 4 6 7",
        ),
    ),
    Scheme(
        "timm's VGG",
        """
        pre_logits.fc1 classifier.0
        pre_logits.fc2 classifier.3
        head.fc        classifier.6
        """,
        reshapes=True,  # linear layers are convolutions over the whole map
    ),
    Scheme(
        "timm's ConvNeXt",
        """
        stem.<i>                        features.0.<i>
        stages.<s>.downsample.<i>       features.<2s>.<i>
        stages.<s>.blocks.<b>.conv_dw   features.<2s+1>.<b>.block.0
        stages.<s>.blocks.<b>.norm      features.<2s+1>.<b>.block.2
        stages.<s>.blocks.<b>.mlp.fc1   features.<2s+1>.<b>.block.3
        stages.<s>.blocks.<b>.mlp.fc2   features.<2s+1>.<b>.block.5
        stages.<s>.blocks.<b>.gamma     features.<2s+1>.<b>.layer_scale
        head.norm                       classifier.0
        head.fc                         classifier.2
        """,
        reshapes=True,  # scales of layers are vectors
    ),
    Scheme(
        "the ConvNeXt of its authors",
        """
        downsample_layers.<s>.<i> features.<2s>.<i>
        stages.<s>.<b>.dwconv     features.<2s+1>.<b>.block.0
        stages.<s>.<b>.norm       features.<2s+1>.<b>.block.2
        stages.<s>.<b>.pwconv1    features.<2s+1>.<b>.block.3
        stages.<s>.<b>.pwconv2    features.<2s+1>.<b>.block.5
        stages.<s>.<b>.gamma      features.<2s+1>.<b>.layer_scale
        norm                      classifier.0
        head                      classifier.2
        """,
        reshapes=True,
    ),
    Scheme(
        "pycls's ResNet",
        """
        stem.conv       conv1
        stem.bn         bn1
        s<s>.b<b>.proj  layer<s>.<b-1>.downsample.0
        s<s>.b<b>.bn    layer<s>.<b-1>.downsample.1
        s<s>.b<b>.f.a    layer<s>.<b-1>.conv1
        s<s>.b<b>.f.a_bn layer<s>.<b-1>.bn1
        s<s>.b<b>.f.b    layer<s>.<b-1>.conv2
        s<s>.b<b>.f.b_bn layer<s>.<b-1>.bn2
        s<s>.b<b>.f.c    layer<s>.<b-1>.conv3
        s<s>.b<b>.f.c_bn layer<s>.<b-1>.bn3
        head.fc          fc
        """,
    ),
    Scheme(
        "the ResNet of early pycls",
        """
        s1.conv          conv1
        s1.bn            bn1
        s<s>.b<b>.proj   layer<s-1>.<b-1>.downsample.0
        s<s>.b<b>.bn     layer<s-1>.<b-1>.downsample.1
        s<s>.b<b>.f.a    layer<s-1>.<b-1>.conv1
        s<s>.b<b>.f.a_bn layer<s-1>.<b-1>.bn1
        s<s>.b<b>.f.b    layer<s-1>.<b-1>.conv2
        s<s>.b<b>.f.b_bn layer<s-1>.<b-1>.bn2
        s<s>.b<b>.f.c    layer<s-1>.<b-1>.conv3
        s<s>.b<b>.f.c_bn layer<s-1>.<b-1>.bn3
        head.fc          fc
        """,
    ),
    Scheme(
        "pycls's RegNet",
        """
        stem.conv              stem.0
        stem.bn                stem.1
        s<s>.b<b>.proj         trunk_output.block<s>.block<s>-<b-1>.proj.0
        s<s>.b<b>.bn           trunk_output.block<s>.block<s>-<b-1>.proj.1
        s<s>.b<b>.f.a          trunk_output.block<s>.block<s>-<b-1>.f.a.0
        s<s>.b<b>.f.a_bn       trunk_output.block<s>.block<s>-<b-1>.f.a.1
        s<s>.b<b>.f.b          trunk_output.block<s>.block<s>-<b-1>.f.b.0
        s<s>.b<b>.f.b_bn       trunk_output.block<s>.block<s>-<b-1>.f.b.1
        s<s>.b<b>.f.se.f_ex.0  trunk_output.block<s>.block<s>-<b-1>.f.se.fc1
        s<s>.b<b>.f.se.f_ex.2  trunk_output.block<s>.block<s>-<b-1>.f.se.fc2
        s<s>.b<b>.f.c          trunk_output.block<s>.block<s>-<b-1>.f.c.0
        s<s>.b<b>.f.c_bn       trunk_output.block<s>.block<s>-<b-1>.f.c.1
        head.fc                fc
        """,
    ),
    Scheme(
        "pycls's EfficientNet",
        """
        stem.conv    features.0.0
        stem.bn      features.0.1
        head.conv    features.<S+1>.0
        head.conv_bn features.<S+1>.1
        head.fc      classifier.1
        """,
        Blocks(
            "s<s>.b<b>",
            "features.<s>.<b-1>.block",
            """
            dwise dwise_bn se.f_ex.0 se.f_ex.2 lin_proj lin_proj_bn = 0.0 0.1 1.fc1 1.fc2 2.0 2.1
            exp exp_bn dwise dwise_bn se.f_ex.0 se.f_ex.2 lin_proj lin_proj_bn
                = 0.0 0.1 1.0 1.1 2.fc1 2.fc2 3.0 3.1
            """,
        ),
    ),
    Scheme(
        "detectron2's ResNet",
        """
        stem.conv1               conv1
        stem.conv1.norm          bn1
        res<s>.<b>.conv<i>       layer<s-1>.<b>.conv<i>
        res<s>.<b>.conv<i>.norm  layer<s-1>.<b>.bn<i>
        res<s>.<b>.shortcut      layer<s-1>.<b>.downsample.0
        res<s>.<b>.shortcut.norm layer<s-1>.<b>.downsample.1
        linear                   fc
        stem.fc                  fc
        """,
    ),
    Scheme(
        "Caffe2's ResNet",
        """
        conv1                        conv1
        res_conv1_bn                 bn1
        res<s>_<b>_branch1           layer<s-1>.<b>.downsample.0
        res<s>_<b>_branch1_bn        layer<s-1>.<b>.downsample.1
        res<s>_<b>_branch2a          layer<s-1>.<b>.conv1
        res<s>_<b>_branch2a_bn       layer<s-1>.<b>.bn1
        res<s>_<b>_branch2b          layer<s-1>.<b>.conv2
        res<s>_<b>_branch2b_bn       layer<s-1>.<b>.bn2
        res<s>_<b>_branch2c          layer<s-1>.<b>.conv3
        res<s>_<b>_branch2c_bn       layer<s-1>.<b>.bn3
        fc1000                       fc
        pred                         fc
        """,
        separator="_",
        tensors={
            "w": "weight",
            "b": "bias",
            "s": "weight",
            "rm": "running_mean",
            "riv": "running_var",
        },
    ),
    Scheme(
        "mmpretrain's ResNet-D and -C",
        """
        stem.0                     conv1.0
        stem.1                     conv1.1
        stem.3                     conv1.3
        stem.4                     conv1.4
        stem.6                     conv1.6
        stem.7                     bn1
        """,
    ),
    Scheme(
        "mmpretrain's SE-ResNet",
        """
        layer<s>.<b>.se_layer.conv<i>.conv layer<s>.<b>.se.fc<i>
        """,
    ),
    Scheme(
        "mmpretrain's RegNet",
        """
        conv1                     stem.0
        bn1                       stem.1
        layer<s>.<b>.conv1        trunk_output.block<s>.block<s>-<b>.f.a.0
        layer<s>.<b>.bn1          trunk_output.block<s>.block<s>-<b>.f.a.1
        layer<s>.<b>.conv2        trunk_output.block<s>.block<s>-<b>.f.b.0
        layer<s>.<b>.bn2          trunk_output.block<s>.block<s>-<b>.f.b.1
        layer<s>.<b>.conv3        trunk_output.block<s>.block<s>-<b>.f.c.0
        layer<s>.<b>.bn3          trunk_output.block<s>.block<s>-<b>.f.c.1
        layer<s>.<b>.downsample.0 trunk_output.block<s>.block<s>-<b>.proj.0
        layer<s>.<b>.downsample.1 trunk_output.block<s>.block<s>-<b>.proj.1
        """,
    ),
    Scheme(
        "mmpretrain's MobileNetV2",
        """
        conv1.conv features.0.0
        conv1.bn   features.0.1
        conv2.conv features.<N+1>.0
        conv2.bn   features.<N+1>.1
        fc         classifier.1
        """,
        Blocks(
            "layer<s>.<b>.conv",
            "features.<#+1>.conv",
            """
            0.conv 0.bn 1.conv 1.bn = 0.0 0.1 1 2
            0.conv 0.bn 1.conv 1.bn 2.conv 2.bn = 0.0 0.1 1.0 1.1 2 3
            """,
        ),
    ),
    Scheme(
        "Hugging Face's ResNet",
        """
        embedder.embedder.convolution                         conv1
        embedder.embedder.normalization                       bn1
        encoder.stages.<s>.layers.<b>.layer.<i>.convolution   layer<s+1>.<b>.conv<i+1>
        encoder.stages.<s>.layers.<b>.layer.<i>.normalization layer<s+1>.<b>.bn<i+1>
        encoder.stages.<s>.layers.<b>.shortcut.convolution    layer<s+1>.<b>.downsample.0
        encoder.stages.<s>.layers.<b>.shortcut.normalization  layer<s+1>.<b>.downsample.1
        classifier.1                                          fc
        """,
    ),
    Scheme(
        "Hugging Face's ConvNeXt",
        """
        embeddings.patch_embeddings                            features.0.0
        embeddings.layernorm                                   features.0.1
        encoder.stages.<s>.downsampling_layer.<i>              features.<2s>.<i>
        encoder.stages.<s>.layers.<b>.dwconv                   features.<2s+1>.<b>.block.0
        encoder.stages.<s>.layers.<b>.layernorm                features.<2s+1>.<b>.block.2
        encoder.stages.<s>.layers.<b>.pwconv1                  features.<2s+1>.<b>.block.3
        encoder.stages.<s>.layers.<b>.pwconv2                  features.<2s+1>.<b>.block.5
        encoder.stages.<s>.layers.<b>.layer_scale_parameter    features.<2s+1>.<b>.layer_scale
        layernorm                                              classifier.0
        classifier                                             classifier.2
        """,
        reshapes=True,
    ),
    Scheme(
        "torchvision's DenseNet as published",
        """
        features.denseblock<s>.denselayer<b>.norm.<i> features.denseblock<s>.denselayer<b>.norm<i>
        features.denseblock<s>.denselayer<b>.conv.<i> features.denseblock<s>.denselayer<b>.conv<i>
        """,
    ),
    Scheme(
        "pretrainedmodels' SE-ResNet",
        """
        layer0.conv1                  conv1
        layer0.bn1                    bn1
        layer<s>.<b>.se_module.fc<i>  layer<s>.<b>.se.fc<i>
        last_linear                   fc
        """,
    ),
)
"""What is tried, each on all keys of a file: the one by which most tensors fit is taken."""
