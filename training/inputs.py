"""Which files a stage reads, by its configuration: where one of them changes, the stage is done again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.files import is_saved_data_set, source_files
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import FinetuneConfig
from training.finetune.scorer_config import ScorerConfig


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
    files = [*config.train, *config.dev, *config.test, *config.unlabelled]
    if config.teacher not in (None, "tfidf"):
        files.append(config.teacher)
    if config.corruption is not None:
        files += config.corruption.text
        files += filter(None, (config.corruption.generator_model, config.corruption.shape_sets))
    return files


def scorer_files(config: ScorerConfig) -> list[str]:
    """Tables of a sentence scorer."""
    return [*config.train, *config.dev]


def export_files(config: ExportConfig) -> list[str]:
    """Text and tables of an export, apart from the networks that are exported.

    Raises:
        UserError: `texts` without files (see ``source_files``).
    """
    return [*_texts("texts", config.texts), *filter(None, (config.test_data, config.calibration_data))]


def evaluate_files(config: EvaluateConfig) -> list[str]:
    """Text and tables that a bundle is judged by.

    Raises:
        UserError: `heldout` or `clean` without files (see ``source_files``).
    """
    tables = [*config.test_tables, *config.train, *config.errors, *config.summaries]
    return [*tables, *_texts("heldout", config.heldout), *_texts("clean", config.clean)]


def _texts(key: str, paths: Sequence[str]) -> list[str]:
    """Files of running text that is named like a corpus source; `clean` may name tables beside it."""
    found: list[str] = []
    for path in paths:
        one = Path(path).is_file()
        found += [path] if one else _source_files(SourceConfig(path=path, name=key))
    return found
