"""Figures of an evaluation put into the bundle that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from app.bundle import Metric
from app.bundle_files import file_entry, read_bundle, write_manifest
from training.export.card import model_card
from training.files import atomic_file


def record_metrics(bundle_dir: Path, metrics: Sequence[Metric], *, failed: bool = False) -> None:
    """Put ``metrics`` into ``bundle.json`` and the model card, in place of figures on the same data.

    A bundle that ``failed`` its bar is marked experimental there; only a new version loses the mark.

    The card is written first: between the two writes the bundle is refused by its checksum, never served
    with a manifest that lies.
    """
    bundle = read_bundle(bundle_dir)
    manifest = bundle.manifest
    judged = {(metric.data_set, metric.split) for metric in metrics}
    # A set that has its folder's name before its own now was ambiguous without.
    judged |= {(name.split("/")[-1], split) for name, split in judged}
    kept = [metric for metric in manifest.metrics if (metric.data_set, metric.split) not in judged]
    experimental = manifest.experimental or failed
    manifest = manifest.model_copy(update={"metrics": [*kept, *metrics], "experimental": experimental})
    if manifest.card is not None:
        card = bundle_dir / manifest.card.path
        with atomic_file(card, "w", encoding="utf-8") as stream:
            stream.write(model_card(manifest, card_languages(bundle_dir / manifest.card.path)))
        manifest = manifest.model_copy(update={"card": file_entry(bundle_dir, manifest.card.path)})
    write_manifest(bundle_dir, manifest)


def card_languages(card: Path) -> list[str]:
    """The languages that a model card's front matter names."""
    parts = card.read_text(encoding="utf-8").split("---\n")
    try:
        front = yaml.safe_load(parts[1])
        return [str(language) for language in front["language"]]
    except (IndexError, KeyError, TypeError, yaml.YAMLError):
        return []
