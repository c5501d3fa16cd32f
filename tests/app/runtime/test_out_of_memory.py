"""Want of memory is told from a bad file."""

import pytest

from app.runtime.out_of_memory import reraise_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("onnxruntime cannot open it (MemoryError)"),
        RuntimeError(
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 7"
        ),
        RuntimeError("CUDA failure 2: out of memory"),
    ],
)
def test_want_of_memory(error: Exception) -> None:
    with pytest.raises(MemoryError) as caught:
        reraise_out_of_memory(error)
    assert caught.value.__cause__ is error
    assert str(caught.value)


def test_other_faults_are_left_alone() -> None:
    reraise_out_of_memory(RuntimeError("Protobuf parsing failed"))
