"""Memory does not grow with the corpus: measured on real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, resource, sys
from pathlib import Path
from training.corpus import CorpusConfig, SourceConfig, build
source, tokenizer, out = map(Path, sys.argv[1:])
build(CorpusConfig(sources=(SourceConfig(path=str(source)),), workers=2), tokenizer, out, progress=False)
# Not its own ru_maxrss: that is inherited from the process that started this one.
status = Path("/proc/self/status").read_text()
own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps([own // 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024]))
"""


def peak_mib(source: Path, tokenizer_file: Path, out: Path) -> list[int]:
    """Peak resident MiB of the building process and of its largest worker."""
    command = [sys.executable, "-c", SCRIPT, str(source), str(tokenizer_file), str(out)]
    peak: list[int] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return peak


def write(path: Path, texts: list[str], megabytes: int) -> None:
    paragraph = "\n".join(texts)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(megabytes * 1_000_000 // (len(paragraph.encode()) + 12)):
            stream.write(f"{paragraph}\n{number:010}\n\n")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_is_bounded(tmp_path: Path, tokenizer_file: Path, make_texts: object) -> None:
    texts = make_texts(30)  # type: ignore[operator]
    write(tmp_path / "small.txt", texts, 10)
    write(tmp_path / "large.txt", texts, 200)
    small = peak_mib(tmp_path / "small.txt", tokenizer_file, tmp_path / "small")
    large = peak_mib(tmp_path / "large.txt", tokenizer_file, tmp_path / "large")
    print(f"peak MiB of builder and worker: 10 MB corpus {small}, 200 MB corpus {large}")
    assert max(large) < 300
    assert large[0] < small[0] + 40
    assert large[1] < small[1] + 40
