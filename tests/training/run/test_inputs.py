"""Every file that a configuration can name is among the inputs of its stage."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from training.corpus.config import CorpusConfig, SourceConfig
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import CorruptionConfig, FinetuneConfig
from training.finetune.scorer_config import ScorerConfig
from training.run.inputs import corpus_files, evaluate_files, export_files, finetune_files, scorer_files

# Text in a configuration that names no file to read, or one that the run knows from the stage before.
NO_INPUTS = {
    CorruptionConfig: set(),
    FinetuneConfig: {"checkpoint", "metric"},
    ScorerConfig: {"bundle"},
    ExportConfig: {
        *("name", "checkpoint", "generator", "models_dir", "version", "licence", "languages", "data"),
        *("recipe", "corpus_digest", "hardware"),
    },
    EvaluateConfig: {"output"},
}
NEEDED: dict[type, dict[str, Any]] = {
    CorruptionConfig: {"text": ("needed",)},
    FinetuneConfig: {"checkpoint": "needed", "train": ("needed",), "task": "error_detection"},
    ScorerConfig: {"bundle": "needed", "train": ["needed"], "dev": ["needed"]},
    ExportConfig: {"name": "needed", "checkpoint": "needed"},
    EvaluateConfig: {},
}
TEXTS = {"str": "{}", "str | None": "{}", "list[str]": ["{}"], "tuple[str, ...]": ("{}",)}
TEXTS["str | list[str] | None"] = "{}"
# Values that are no text of one's own choosing where a field is tried by its name.
NAMES = {"name": "x", "version": "1"}


def kind_of(field: dataclasses.Field[Any]) -> str:
    """The type of a field, with files as the text that they are."""
    return str(field.type).replace("FilePath", "str")


def fields_of_text(config: type) -> list[str]:
    return [field.name for field in dataclasses.fields(config) if kind_of(field) in TEXTS]


@pytest.mark.parametrize(
    ("config", "name"),
    [(config, name) for config in NO_INPUTS for name in fields_of_text(config)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_field_that_names_a_file_is_an_input(config: type, name: str, tmp_path: Path) -> None:
    path = str(tmp_path / "a.txt")
    Path(path).write_text("text", encoding="utf-8")
    kind = next(kind_of(field) for field in dataclasses.fields(config) if field.name == name)
    value = type(TEXTS[kind])([path]) if isinstance(TEXTS[kind], list | tuple) else NAMES.get(name, path)
    values = NEEDED[config] | {name: value}
    if name == "unlabelled":
        values |= {"task": "single_label", "teacher": "tfidf"}
    if config is CorruptionConfig:
        told = FinetuneConfig(**NEEDED[FinetuneConfig], corruption=CorruptionConfig(**values))
        found = finetune_files(told)
    else:
        read = {FinetuneConfig: finetune_files, ScorerConfig: scorer_files, ExportConfig: export_files}
        found = read.get(config, evaluate_files)(config(**values))  # type: ignore[arg-type]
    assert (path in found) == (name not in NO_INPUTS[config])


# Named files that are no inputs: networks that the run knows from the stage before, and where it writes.
PLACES = {"checkpoint", "generator", "bundle", "models_dir", "output"}


@pytest.mark.parametrize("config", NO_INPUTS, ids=lambda config: config.__name__)
def test_a_home_directory_is_filled_in_for_every_file(config: type) -> None:
    for field in dataclasses.fields(config):
        if kind_of(field) in TEXTS:
            a_file = field.name not in NO_INPUTS[config] or field.name in PLACES
            assert ("FilePath" in str(field.type)) is a_file, field.name


def test_a_linear_teacher_is_no_file() -> None:
    config = FinetuneConfig(checkpoint="x", train=("train.tsv",), teacher="tfidf")
    assert finetune_files(config) == ["train.tsv"]


def test_sources_are_found_as_the_corpus_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTS", str(tmp_path))
    for name in ("b.txt", "a.txt", "README.md", "saved/state.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    both = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    for written in ("$TEXTS/*.txt", "$TEXTS"):
        assert corpus_files(CorpusConfig((SourceConfig(path=written),))) == both
        assert export_files(ExportConfig("x", "checkpoint", texts=[written])) == both
        assert evaluate_files(EvaluateConfig(heldout=[written])) == both
    saved = str(tmp_path / "saved")
    assert corpus_files(CorpusConfig((SourceConfig(path="$TEXTS/saved"),))) == [saved]
    assert corpus_files(CorpusConfig((SourceConfig(dataset=saved),))) == [saved]
    assert corpus_files(CorpusConfig((SourceConfig(dataset="somebody/on-the-hub"),))) == []
    with pytest.raises(UserError, match="source 'heldout': nothing at"):
        evaluate_files(EvaluateConfig(heldout=["$TEXTS/c.txt"]))
