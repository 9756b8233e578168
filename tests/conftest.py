"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Tests run in as many processes as there are cores; torch must not take all cores in each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The gate asks the same of every run; HYPOTHESIS_PROFILE=search looks for what is new.
settings.register_profile("gate", derandomize=True, print_blob=True)
settings.register_profile("search", max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
