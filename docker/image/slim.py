"""Remove from an environment what a service never runs: tests, headers, stubs and tools of its libraries.

Usage: python slim.py PREFIX. A library that goes as a whole loses its metadata too, so that the bill of
materials names what is there.
"""

import compileall
import shutil
import sys
from pathlib import Path

# Folders that no import of the service reaches, by library.
UNUSED = [
    "numpy/*/tests",
    "numpy/tests",
    "numpy/f2py",
    "numpy/_core/include",
    "numpy/_core/lib",
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/datasets",
    # The library for programs in C; Python's module holds the same code.
    "onnxruntime/capi/libonnxruntime.so.*",
    # Transfers from the Hugging Face hub: the service loads files alone.
    "hf_xet",
    "hf_xet-*.dist-info",
]


def slim(prefix: Path) -> int:
    """Delete, compile the rest; returns the bytes freed."""
    freed = 0
    for site in prefix.glob("lib/python3*/site-packages"):
        doomed = [path for pattern in UNUSED for path in site.glob(pattern)]
        suffixes = ("*.pyi", "*.pyx", "*.pxd", "*.c", "*.h")
        doomed += [path for suffix in suffixes for path in site.rglob(suffix)]
        for path in doomed:
            if path.is_dir():
                freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                shutil.rmtree(path)
            elif path.is_file():
                freed += path.stat().st_size
                path.unlink()
        # A read-only container cannot write these at its first start.
        compileall.compile_dir(site, quiet=2, workers=1)
    return freed


if __name__ == "__main__":
    print(f"slim: {slim(Path(sys.argv[1])) / 1e6:.1f} MB removed")
