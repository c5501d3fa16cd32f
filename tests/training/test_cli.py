"""The door: every verb helps, every mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.test_files import FULL_DISK
from training.cli import VERBS, main


@pytest.mark.parametrize("verb", [*VERBS])
def test_every_verb_has_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "--dry-run" in shown


def test_help_of_the_whole_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)
    assert main([]) == 2


def test_a_misspelt_verb_is_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrian"]) == 2
    assert "did you mean pretrain?" in capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nowhere.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere.yaml: no such file" in error


def test_an_output_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    output = tmp_path / "file" / "tokenizer"
    words = ["--source", "training/sample/text", "--characters", "20000", "--vocab-size", "8192"]
    assert main(["tokenizer", *words, "--output", str(output)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"electra-train tokenizer: {tmp_path / 'file'}")
    assert error.endswith("Not a directory; give another output")


@pytest.mark.parametrize(
    ("refused", "line"),
    [
        (
            OSError(30, "Read-only file system", "/x/out"),
            "/x/out: Read-only file system; give another output",
        ),
        (
            PermissionError(13, "Permission denied", "/x/out"),
            "/x/out: Permission denied; give another output",
        ),
        (FileNotFoundError(2, "No such file", "/x/in"), "/x/in: No such file; check the path"),
    ],
)
def test_a_file_that_the_system_refuses_is_named(
    refused: OSError, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise refused

    monkeypatch.setattr("training.tokenizer_command.execute", refuse)
    assert main(["tokenizer"]) == 2
    assert capsys.readouterr().err == f"electra-train tokenizer: {line}\n"


@pytest.mark.parametrize("full", FULL_DISK, ids=str)
def test_a_full_disk_is_one_line(
    full: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise full

    monkeypatch.setattr("training.tokenizer_command.execute", refuse)
    assert main(["tokenizer"]) == 2
    assert capsys.readouterr().err.startswith("electra-train tokenizer: the disk is full; make room and run")


def test_a_system_error_without_a_file_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("training.tokenizer_command.execute", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        main(["tokenizer"])


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys, training.cli; training.cli.main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("finetune --output o --train a", "key 'checkpoint' is missing"),
        ("finetune --output o --train a --checkpoint c --set epoch=1", "unknown key 'epoch'"),
        ("finetune --output o --train a --checkpoint nowhere", "nowhere: no such checkpoint directory"),
        ("export nowhere --name x", "nowhere: no such checkpoint directory"),
        ("export nowhere --name Upper", "name 'Upper'"),
        ("pretrain --shards s --tokenizer t --output o", "s: no such file"),
        ("evaluate nowhere --test t.tsv", "nowhere: does not exist"),
        ("compare nowhere nowhere --test t.tsv", "nowhere: does not exist"),
    ],
)
def test_a_simple_mistake_does_not_wait_for_torch(words: str, message: str) -> None:
    script = (
        "import sys, training.cli; code = training.cli.main(sys.argv[1:]); "
        "slow = {'torch', 'transformers', 'sklearn', 'onnxruntime'} & set(sys.modules); "
        "print(code, sorted(slow))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words.split()], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 []\n"
    assert message in done.stderr
