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


def main() -> None:
    """Count every network that has a spec in ``specs/torchvision``."""
    models = torchvision_models()
    assert models is not None
    torch.manual_seed(0)
    counted = {}
    for spec in sorted((ROOT / "specs" / "torchvision").glob("*.yaml")):
        counted[spec.stem] = {
            # Some counters leave buffers and hooks behind.
            tool: counter(getattr(models, spec.stem)(), (3, 224, 224))
            for tool, counter in COUNTERS.items()
        }
        print(spec.stem, counted[spec.stem], flush=True)
    text = json.dumps(counted, indent=1)
    Path(__file__).with_name("counters.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
