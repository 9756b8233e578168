"""Modules compiled for inference, against the same modules as they are."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
import torch
import torch.nn.functional as F
from inductor import needs_a_compiler
from strategies import compile_data
from structures import STRUCTURES, network_of
from torch import Tensor, fx, nn
from torch._dynamo.backends.debugging import aot_eager
from torch._dynamo.utils import counters
from torch._inductor import config

import archc
from archc import inference
from archc.inference import fuse_convolutions
from archc.verification.values import distance

# torch's own, on importing inductor; and that float32 could be quicker with TF32.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*TensorFloat32:UserWarning"),
]
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def fused(module: nn.Module, images: Tensor) -> tuple[int, Tensor]:
    """How many convolutions take something in, and what the module then puts out."""
    counts = []

    def backend(traced: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        counts.append(fuse_convolutions(traced.graph))
        traced.graph.lint()
        traced.recompile()
        run: Callable[..., object] = aot_eager(traced, inputs)
        return run

    torch.compiler.reset()
    with torch.no_grad():
        output = torch.compile(module, backend=backend, fullgraph=True)(images)
    return sum(counts), output


def assert_fused(count: int, module: nn.Module, images: Tensor) -> None:
    found, output = fused(module, images)
    assert found == count
    assert distance(output, module(images)) < 1e-12


@pytest.mark.parametrize("structure", STRUCTURES)
def test_fused_convolutions_compute_the_same(structure: str) -> None:
    network = network_of(structure)
    module = archc.module(network, deploy=True).eval().double()
    images = torch.randn(2, *network.input_shape, dtype=torch.float64)
    count, output = fused(module, images)
    assert count > 0
    assert distance(output, module(images)) < 1e-12


@pytest.mark.parametrize(
    ("name", "depth", "count"),
    [
        ("torchvision/resnet18", None, 17),  # of 20; the projections are what others add
        ("torchvision/resnet50", None, 49),  # of 53
        ("cifar10/resnet20", None, 19),
        ("cifar10/preresnet110", 4, 12),  # where norms stand in front of the other half
        ("torchvision/vgg11", None, 8),
    ],
)
def test_convolutions_take_in_all_that_they_can(name: str, depth: int | None, count: int) -> None:
    network = archc.load(name, input=(3, 32, 32), with_={"depth": depth} if depth else {})
    module = archc.module(network, deploy=True).eval()
    assert fused(module, torch.randn(1, 3, 32, 32))[0] == count


class Block(nn.Module):
    """A convolution and what follows it, as a function says."""

    def __init__(self, forward: Callable[[Tensor, Tensor], Tensor], padding: int | str = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, kernel_size=3, padding=padding)
        self.follow = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.follow(self.conv(x), x)


def into_the_other_value(out: Tensor, x: Tensor) -> Tensor:
    total = x * 1
    other = total
    total += out
    return F.relu(total) + other


def the_other_value_changes(out: Tensor, x: Tensor) -> Tensor:
    x = x * 1
    total = out + x
    x.mul_(2)
    return F.relu(total)


def a_view_of_the_other_value_changes(out: Tensor, x: Tensor) -> Tensor:
    x = x * 1
    flat = x.view(-1)
    total = out + x
    flat.mul_(2)
    return F.relu(total)


@pytest.mark.parametrize(
    ("forward", "count"),
    [
        (lambda out, x: F.relu(out), 1),
        (lambda out, x: torch.relu(out), 1),
        (lambda out, x: F.relu(x + out), 1),
        (lambda out, x: F.relu(torch.add(out, x), inplace=True), 1),
        (lambda out, x: out, 0),
        (lambda out, x: F.relu(out) + out, 0),
        (lambda out, x: F.relu(out + 1), 0),
        (lambda out, x: F.relu(out + out), 0),
        (lambda out, x: F.relu(torch.add(out, x, alpha=2)), 0),
        (lambda out, x: F.relu(out + x.mean(dim=(2, 3), keepdim=True)), 0),
        (lambda out, x: F.relu(out + x.float()), 0),
        (lambda out, x: F.gelu(out + x), 0),
        (into_the_other_value, 0),
        (the_other_value_changes, 0),
        (a_view_of_the_other_value_changes, 0),
    ],
)
def test_only_what_a_kernel_of_cudnn_computes_is_taken_in(
    forward: Callable[[Tensor, Tensor], Tensor], count: int
) -> None:
    module = Block(forward).double()
    images = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    assert_fused(count, module, images)


class Writes(Block):
    """Something is done between a convolution and its ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        x = x * 1
        out = self.conv(x)
        self.follow(out, x)
        return F.relu(out) + x


@pytest.mark.parametrize(
    "between",
    [
        lambda out, x: x.mul_(2),
        lambda out, x: F.relu(x, inplace=True),
        lambda out, x: x[:1].zero_(),
        lambda out, x: torch.add(x, 1, out=x),
        lambda out, x: x.__setitem__((slice(None), 0), 5.0),
    ],
)
def test_a_convolution_is_not_moved_behind_what_writes_to_its_input(
    between: Callable[[Tensor, Tensor], Tensor],
) -> None:
    module, images = Writes(between).double(), torch.randn(2, 4, 5, 6).double()
    assert_fused(0, module, images)


@pytest.mark.parametrize(
    "end",
    [
        lambda out, x: F.relu(out).view(2, -1),
        lambda out, x: F.max_pool2d(F.relu(out), 2).view(2, -1),
        lambda out, x: F.relu(out).as_strided((4,), (1,)),
        lambda out, x: torch.as_strided(F.relu(out), (4,), (1,)),
    ],
)
def test_what_asks_for_strides_keeps_them(end: Callable[[Tensor, Tensor], Tensor]) -> None:
    module, images = Block(end).double(), torch.randn(2, 4, 6, 6).double()
    assert_fused(0, module, images)


def test_what_autocast_changes_is_left_alone() -> None:
    class Half(Block):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(x)

    module, images = Half(lambda out, x: F.relu(out)), torch.randn(2, 4, 6, 6)
    found, output = fused(module, images)
    assert (found, output.dtype) == (0, torch.bfloat16)
    with torch.no_grad():
        assert distance(output, module(images)) == 0


def test_free_sizes_are_taken_in_unless_they_are_the_convolution_s() -> None:
    class Wide(Block):
        def forward(self, x: Tensor) -> Tensor:
            wide = F.conv2d(x, self.conv.weight, padding=x.shape[-1] // 6)
            return F.relu(wide) + F.relu(self.conv(x)).mean()

    module = Wide(lambda out, x: out).double()
    images = torch.randn(2, 4, 8, 6, dtype=torch.float64)
    torch._dynamo.mark_dynamic(images, 3)
    assert_fused(1, module, images)


@pytest.mark.parametrize(
    "end",
    [
        lambda out: out.flatten(1).add_(1),
        lambda out: out.reshape(2, -1).zero_(),
        lambda out: out.contiguous().mul_(2),
        lambda out: out.permute(0, 2, 3, 1).contiguous().mul_(2),
        lambda out: out.permute(0, 2, 3, 1).reshape(2, -1).mul_(2),
        lambda out: out.to(memory_format=torch.channels_last).mul_(2),
        lambda out: torch.ops.aten.view(out, (2, -1)),
    ],
)
def test_values_stay_shared_or_apart(end: Callable[[Tensor], Tensor]) -> None:
    def follow(out: Tensor, x: Tensor) -> Tensor:
        out = F.relu(out)
        return end(out).sum() * out

    module, images = Block(follow).double(), torch.randn(2, 4, 6, 6).double()
    assert_fused(0, module, images)


def test_gradients_that_a_module_asks_for_are_left_alone() -> None:
    class Asks(Block):
        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                return super().forward(x)

    assert fused(Asks(lambda out, x: F.relu(out)), torch.randn(2, 4, 6, 6))[0] == 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_are_put_out_in_the_layout_that_they_had(layout: torch.memory_format) -> None:
    module = Block(lambda out, x: F.relu(out)).to(memory_format=layout)  # type: ignore[call-overload]
    images = torch.randn(2, 4, 6, 6).to(memory_format=layout)
    found, output = fused(module, images)
    assert found == 1
    assert output.is_contiguous(memory_format=layout)


def test_one_image_without_a_batch_is_left_alone() -> None:
    module, image = Block(lambda out, x: F.relu(out)).double(), torch.randn(4, 5, 6).double()
    assert_fused(0, module, image)


def test_padding_by_name_is_left_alone() -> None:
    assert fused(Block(lambda out, x: F.relu(out), padding="same"), torch.randn(1, 4, 5, 5))[0] == 0


@needs_a_compiler
@torch._dynamo.config.patch(recompile_limit=2)  # type: ignore[untyped-decorator]
def test_a_compiled_module_computes_the_same_at_every_size() -> None:
    """At more than torch would compile of itself, too."""
    torch.compiler.reset()
    counters.clear()
    module = Block(lambda out, x: F.relu(out + x)).eval()
    run = archc.compiled(module)
    for batch in (2, 1, 2, 3, 4):
        images = torch.randn(batch, 4, 8, 8)
        logits = run(images)
        assert not logits.requires_grad
        assert distance(logits, module(images)) < 1e-5
    assert counters["stats"]["unique_graphs"] == 4
    with torch.inference_mode():
        images = torch.randn(2, 4, 8, 8)
        assert distance(run(images), module(images)) < 1e-5
    images = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    assert distance(run(images), module(images)) < 1e-5


@needs_a_compiler
def test_a_network_is_compiled() -> None:
    network = archc.load("cifar10/plain20", input=(3, 8, 8))
    module = archc.module(network, deploy=True).eval()
    images = torch.randn(2, 3, 8, 8)
    assert distance(archc.compiled(module)(images), module(images)) < 1e-5


@needs_a_compiler
def test_float64_is_compiled_on_a_cpu() -> None:
    module = Block(lambda out, x: F.relu(out)).double().eval()
    images = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    assert distance(archc.compiled(module)(images), module(images)) < 1e-12


@needs_a_compiler
def test_a_module_runs_once_for_each_call() -> None:
    class Counts(nn.Module):
        count: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x + self.count

    module = Counts().eval()
    run = archc.compiled(module)
    assert [float(run(torch.zeros(2))[0]) for _ in range(3)] == [1, 2, 3]


def test_weights_are_constants_whenever_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anew for another size, and for whatever else torch compiles anew for."""
    frozen = []

    def backend(traced: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        frozen.append(config.freezing)
        run: Callable[..., object] = aot_eager(traced, inputs)
        return run

    monkeypatch.setattr(inference, "backend", backend)
    network = network_of("vgg")
    run = archc.compiled(archc.module(network).eval())
    run(torch.randn(2, *network.input_shape))
    run(torch.randn(3, *network.input_shape))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        run(torch.randn(2, *network.input_shape))
    finally:
        torch.set_num_threads(threads)
    assert frozen == [True] * 3


def test_a_part_in_training_mode_is_refused_later_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "backend", aot_eager)
    network = network_of("option A")
    module = archc.module(network).eval()
    run, images = archc.compiled(module), torch.randn(2, *network.input_shape)
    run(images)
    module.get_submodule("bn1").train()
    with pytest.raises(ValueError, match=r"^its submodule `bn1` is in training mode: "):
        run(images)


@needs_a_compiler
def test_an_exported_program_is_compiled() -> None:
    network = archc.load("cifar10/plain20", input=(3, 8, 8))
    content = archc.export(network, "pt2", deploy=True)
    module = torch.export.load(BytesIO(content)).module()
    images = torch.randn(2, 3, 8, 8)
    assert distance(archc.compiled(module)(images), module(images)) < 1e-5


def test_a_module_in_training_mode_is_refused() -> None:
    module = archc.module("cifar10/resnet20")
    with pytest.raises(
        ValueError, match=r"^the module is in training mode: call `module\.eval\(\)` "
    ):
        archc.compiled(module)
    module.eval()
    run = archc.compiled(module)
    module.get_submodule("bn1").train()
    with pytest.raises(ValueError, match=r"^its submodule `bn1` is in training mode: "):
        run(torch.randn(1, 3, 32, 32))


def test_what_is_no_module_or_no_tensor_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"^expected a torch module, such as archc\.module returns, not str$"
    ):
        archc.compiled("cifar10/resnet20")  # type: ignore[arg-type]
    run = archc.compiled(archc.module("cifar10/resnet20").eval())
    with pytest.raises(TypeError, match=r"^the images must be a tensor, not list$"):
        run([1.0])  # type: ignore[arg-type]


@cuda
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_compiled_module_computes_the_same_on_cuda(
    structure: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network = network_of(structure)
    module = archc.module(network, deploy=True).cuda().eval()
    module.to(memory_format=layout)  # type: ignore[call-overload]
    run = archc.compiled(module)
    kept = []
    for batch in (2, 3, 2):
        images = torch.randn(batch, *network.input_shape, device="cuda").to(memory_format=layout)
        kept.append((run(images), module(images)))
    assert max(distance(ours, plain) for ours, plain in kept) < 1e-5


@cuda
def test_images_of_one_channel_are_compiled_on_cuda() -> None:
    conv = {"conv": {"width": 1, "kernel": 3}}
    head = [conv, {"conv": {"width": 4, "kernel": 3}}, "flatten", "linear"]
    network = compile_data({"name": "x", "input": [1, 28, 28], "norm": "none", "head": head})
    module = archc.module(network).cuda().eval()
    images = torch.randn(3, 1, 28, 28, device="cuda")
    assert distance(archc.compiled(module)(images), module(images)) < 1e-2


@cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_cudnn_has_kernels_for_the_convolutions_of_a_resnet(dtype: torch.dtype) -> None:
    inference._unfit.clear()
    module = archc.module("torchvision/resnet18", deploy=True).cuda().eval()
    images = torch.randn(2, 3, 64, 64, device="cuda")
    with torch.no_grad():
        logits = module(images)
    assert distance(archc.compiled(module.to(dtype))(images.to(dtype)).float(), logits) < 0.02
    assert not inference._unfit
