"""Kernels or a reason to skip: they need a processor with AMX and a compiler, and then they must work."""

import shutil

import pytest

from training.electra.native.library import NEEDED
from training.hardware import cpu_flags

compiler = shutil.which("g++") or shutil.which("clang++")
_lacking = [*sorted(NEEDED - cpu_flags()), *(["a C++ compiler"] if compiler is None else [])]
needs_kernels = pytest.mark.skipif(bool(_lacking), reason=f"this machine has no {', '.join(_lacking)}")
