"""Write counters.json: what FLOP counters print for torchvision's own modules, one image.

Run with fvcore, ptflops, thop, torchinfo, calflops and torchvision installed, or torchvision's
folder in ARCHC_TORCHVISION.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from counters import COUNTERS  # noqa: E402
from peers import torchvision_models  # noqa: E402

import archc  # noqa: E402

AS_PUBLISHED = {"init_weights": False, "transform_input": True}
"""How torchvision makes those networks that come with weights from elsewhere."""


def main() -> None:
    """Count every network that has a spec in ``specs/torchvision``."""
    models = torchvision_models()
    assert models is not None
    torch.manual_seed(0)
    counted = {}
    for spec in archc.specs("torchvision"):
        name = spec.removeprefix("torchvision/")
        options = AS_PUBLISHED if name in ("googlenet", "inception_v3") else {}
        size = archc.load(spec).input_shape
        counted[name] = {
            # Some counters leave buffers and hooks behind.
            tool: counter(getattr(models, name)(**options).eval(), size)
            for tool, counter in COUNTERS.items()
        }
        print(name, counted[name], flush=True)
    text = json.dumps(counted, indent=1)
    Path(__file__).with_name("counters.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
