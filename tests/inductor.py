"""Whether inductor can compile here."""

from __future__ import annotations

import shutil

import pytest

needs_a_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="inductor needs a C++ compiler"
)
