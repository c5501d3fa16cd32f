"""Kernels or a reason to skip: they need a processor with AMX and a compiler."""

import pytest

from training.electra.native.library import UnavailableError, load


def _reason() -> str:
    try:
        load()
    except UnavailableError as error:
        return str(error)
    return ""


needs_kernels = pytest.mark.skipif(bool(_reason()), reason=_reason())
