"""What is drawn at random depends on the seed and the position alone."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from archc.training.data import Share
from archc.training.order import Epochs, permutation


def epochs(count: int) -> Epochs:
    return Epochs(count, lambda epoch: (permutation(count, 3, epoch), torch.full((count,), epoch)))


@given(count=st.integers(1, 12), start=st.integers(0, 40), length=st.integers(1, 40))
def test_positions_run_on_over_epochs(count: int, start: int, length: int) -> None:
    order, numbers = epochs(count).at(start, start + length)
    wanted = range(start, start + length)
    assert numbers.tolist() == [position // count for position in wanted]
    assert order.tolist() == [int(permutation(count, 3, p // count)[p % count]) for p in wanted]


def test_an_epoch_has_each_image_once() -> None:
    (order, _) = epochs(7).at(7, 14)
    assert sorted(order.tolist()) == list(range(7))
    assert permutation(100, 3, 0).tolist() != permutation(100, 3, 1).tolist()
    assert permutation(100, 3, 0).tolist() != permutation(100, 4, 0).tolist()


@given(world=st.integers(1, 4), part=st.integers(1, 5), iteration=st.integers(0, 9))
def test_shares_make_up_the_batch(world: int, part: int, iteration: int) -> None:
    batch = world * part
    spans = [range(*Share(rank, world).of(iteration, batch)) for rank in range(world)]
    assert [p for span in spans for p in span] == list(
        range(iteration * batch, (iteration + 1) * batch)
    )
