"""What cannot be lifted: the message names the op, and where it stands."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.lifting.lifted import lifted


class Net(nn.Module):
    """A few layers, and a mean before a linear one."""

    def __init__(self, *layers: nn.Module, bias: bool = True):
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(4, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]


class Twice(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.body(x))


class Tied(Net):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.body[1].weight = self.body[0].weight


class Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5


class Several(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        y = self.body(x)
        return y, F.relu(y)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(2).transpose(1, 2)
        return self.attention(y, y, y, need_weights=False)[0]  # type: ignore[no-any-return]


CANNOT = "cannot be written in a spec"
MESSAGES: list[tuple[nn.Module, str, str | None]] = [
    (
        Net(nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 4, 2, 2)),
        f"`body.1` {CANNOT}: the language has no `conv_transpose2d`",
        None,
    ),
    (
        Net(nn.Conv2d(4, 4, 3, stride=(2, 1)), nn.LeakyReLU(0.2)),
        f"`body.0` {CANNOT}: its stride is 2 by 1, and has to be one number",
        "nor can `body.1`",
    ),
    (
        Net(nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.2)),
        f"`body.1` {CANNOT}: its slope is 0.2, and that of `leaky_relu` is 0.01",
        None,
    ),
    (
        Net(nn.Conv2d(4, 4, 3), bias=False),
        f"`head` {CANNOT}: it has no bias, and a linear layer of a spec has one",
        None,
    ),
    (
        Net(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
        f"`body.pad` in `body.0` {CANNOT}: the language has no `pad` "
        "(pad=[1, 1, 1, 1], mode=reflect)",
        None,
    ),
    (
        Net(nn.Conv2d(4, 4, 3), Shifted()),
        f"`body.1.add` {CANNOT}: the language has no `add` (other=0.5)",
        None,
    ),
    (
        Twice(nn.Conv2d(4, 4, 3, padding=1)),
        f"`body.conv` in `body.0` {CANNOT}: `body.0` runs twice, and a layer of a spec runs once",
        None,
    ),
    (
        Tied(),
        f"`body.1` {CANNOT}: it has tensors of `body.0`, and layers of a spec share none",
        None,
    ),
    (
        Several(nn.Conv2d(4, 4, 3)),
        "the model has 2 outputs, `body.0` and `relu`, and a spec has one",
        "lift a module that puts out one of them",
    ),
    (
        Attention(),
        f"`flatten` {CANNOT}: the language has no `flatten` (start_dim=2)",
        "nor can `transpose`, `transpose2` in `attention`, `token_linear` in `attention` and 22 "
        "more",
    ),
]


@pytest.mark.parametrize(("module", "message", "hint"), MESSAGES)
def test_messages(module: nn.Module, message: str, hint: str | None) -> None:
    with pytest.raises(archc.ForeignError) as raised:
        archc.lift(module, input=(4, 8, 8))
    assert raised.value.message == message
    assert raised.value.hint == hint


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, more: Tensor) -> Tensor:
            return x + more

    image = torch.zeros(1, 4, 8, 8)
    network = archc.from_export(torch.export.export(Two(), (image, image)))
    with pytest.raises(
        archc.ForeignError, match="the model has 2 inputs, `input` and `more1`, and a spec has one"
    ):
        lifted(network)
