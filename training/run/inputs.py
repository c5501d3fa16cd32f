"""Which files a stage reads, by its configuration: all are looked at before the first stage (``checks``), and
where one changes, its stage is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.files import is_saved_data_set, source_files
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import FinetuneConfig
from training.finetune.scorer_config import ScorerConfig

# Key of a configuration, and a file or folder that it names.
Named = list[tuple[str, str]]
PartConfig = FinetuneConfig | ExportConfig | ScorerConfig | EvaluateConfig


def corpus_files(config: CorpusConfig) -> list[str]:
    """Files of all sources, and the folders of those that are data sets; a data set on the hub has none.

    Raises:
        UserError: a source without files (see ``source_files``).
    """
    return [path for source in config.sources for path in _source_files(source)]


def _source_files(source: SourceConfig) -> list[str]:
    path = source.expanded_path
    if path is None:
        return [source.dataset] if source.dataset and Path(source.dataset).is_dir() else []
    if is_saved_data_set(path):
        return [str(path)]
    return [str(file.path) for file in source_files(source)]


def finetune_files(config: FinetuneConfig) -> list[str]:
    """Tables, clean text and networks of a fine-tuning, apart from the checkpoint that it starts from."""
    return [path for _, path in _finetune_named(config)]


def _finetune_named(config: FinetuneConfig) -> Named:
    named = named_by(config, "train", "dev", "test", "unlabelled")
    if config.teacher != "tfidf":
        named += named_by(config, "teacher")
    if config.corruption is not None:
        made = named_by(config.corruption, "text", "generator_model", "shape_sets")
        named += [(f"corruption.{key}", path) for key, path in made]
    return named


def scorer_files(config: ScorerConfig) -> list[str]:
    """Tables of a sentence scorer."""
    return [path for _, path in _scorer_named(config)]


def _scorer_named(config: ScorerConfig) -> Named:
    return named_by(config, "train", "dev")


def export_files(config: ExportConfig) -> list[str]:
    """Text and tables of an export, apart from the networks that are exported.

    Raises:
        UserError: `texts` without files (see ``source_files``).
    """
    return [path for _, path in _export_named(config)]


def _export_named(config: ExportConfig) -> Named:
    return [*_texts("texts", config.texts), *named_by(config, "test_data", "calibration_data")]


def evaluate_files(config: EvaluateConfig) -> list[str]:
    """Text and tables that a bundle is judged by.

    Raises:
        UserError: `heldout` or `clean` without files (see ``source_files``).
    """
    return [path for _, path in _evaluate_named(config)]


def _evaluate_named(config: EvaluateConfig) -> Named:
    tables = named_by(config, "test", "train", "errors", "summaries")
    return [*tables, *_texts("heldout", config.heldout), *_texts("clean", config.clean)]


def named_files(config: PartConfig) -> Named:
    """Every file of ``config``, with the key that names it, apart from networks of earlier stages.

    Raises:
        UserError: a source of running text without files (see ``source_files``).
    """
    if isinstance(config, FinetuneConfig):
        return _finetune_named(config)
    if isinstance(config, ScorerConfig):
        return _scorer_named(config)
    return _export_named(config) if isinstance(config, ExportConfig) else _evaluate_named(config)


def named_by(config: Any, *keys: str) -> Named:
    """The paths under ``keys`` of ``config``, each with its key."""
    named: Named = []
    for key in keys:
        value = getattr(config, key)
        paths = [value] if isinstance(value, str) else list(value or ())
        named += [(key, path) for path in paths]
    return named


def _texts(key: str, paths: Sequence[str]) -> Named:
    """Files of running text that is named like a corpus source; `clean` may name tables beside it."""
    found: Named = []
    for path in paths:
        one = Path(path).is_file()
        files = [path] if one else _source_files(SourceConfig(path=path, name=key))
        found += [(key, file) for file in files]
    return found
