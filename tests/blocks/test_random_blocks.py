"""Random definitions: graph, counts, emitted module and interpreter agree, or it is refused."""

from __future__ import annotations

from collections import Counter

import torch
from definitions import specs_of_blocks
from hypothesis import HealthCheck, given, settings
from strategies import Data, text_of

from archc.compile import compile_spec
from archc.graph import lint
from archc.live import build_module
from archc.spec import Source, SpecError, resolve
from archc.spec.show import show
from archc.verification import interpreter

LEAST = 300


def test_random_blocks_agree_or_are_refused() -> None:
    seen: Counter[str] = Counter()
    messages: set[str] = set()

    @settings(
        max_examples=max(LEAST, settings().max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(specs_of_blocks())
    def check(data: Data) -> None:
        try:
            spec = resolve(Source("random.yaml", text_of(data, as_json=False)))
            network = compile_spec(spec)
        except SpecError as error:
            messages.update(one.message for one in error.diagnostics)
            seen["refused"] += 1
            return
        lint(network)
        torch.manual_seed(0)
        module = build_module(network).eval()
        assert list(module.state_dict()) == list(network.state)
        assert sum(one.numel() for one in module.parameters()) == network.params
        images = torch.randn(2, *network.input_shape)
        with torch.no_grad():
            values = interpreter.run(network.graph, module.state_dict(), images)
            assert torch.equal(module(images), values[network.logits])
        again = resolve(Source("shown.yaml", show(spec)))
        assert again.digest == spec.digest
        seen["accepted"] += 1

    check()
    assert seen["accepted"] > 100
    assert all(messages)
