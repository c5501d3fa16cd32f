"""The model card: ``README.md`` of a bundle, in the form of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from app.bundle import Manifest, Metric

_HUB_DETAILS = {
    "classify": ("text-classification", "A text classifier: a fine-tuned ELECTRA discriminator."),
    "encode": (
        "feature-extraction",
        "An ELECTRA discriminator that gives replaced-token logits and hidden states: it serves detection of "
        "replaced words and extractive summarization from one file.",
    ),
}

# What is to be detected is wrong on purpose: 平果 for 苹果, too for to.
_EXAMPLES = {
    "classify": {
        "zh": "这家店的菜很好吃",
        "en": "The shares rose after the company reported a record profit.",
    },
    "detect-replaced": {"zh": "我喜欢吃平果。", "en": "We went too the park."},
}


def model_card(manifest: Manifest, languages: Sequence[str]) -> str:
    """The card of ``manifest``, Markdown with YAML front matter."""
    tag, summary = _HUB_DETAILS[manifest.task]
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        summary,
        _experimental(manifest),
        _usage(manifest, languages),
        _files(manifest),
        _results(manifest),
        _detection(manifest),
        _training(manifest),
        _limits(manifest),
    ]
    front = yaml.safe_dump(_front_matter(manifest, languages, tag), allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(manifest: Manifest, languages: Sequence[str], tag: str) -> dict[str, object]:
    front: dict[str, object] = {
        "license": manifest.provenance.licence or "other",
        **({"language": list(languages)} if languages else {}),
        "library_name": "onnx",
        "pipeline_tag": tag,
        "tags": ["electra", "onnx", "onnxruntime"],
    }
    if manifest.metrics:
        front["model-index"] = [
            {
                "name": manifest.name,
                "results": [
                    {
                        "task": {"type": tag},
                        "dataset": {"name": metric.data_set, "type": metric.data_set, "split": metric.split},
                        "metrics": [{"type": metric.metric, "value": round(metric.value, 4)}],
                    }
                    for metric in manifest.metrics
                ],
            }
        ]
    return front


def _experimental(manifest: Manifest) -> str:
    if not manifest.experimental:
        return ""
    if manifest.task == "classify":
        return "**Experimental**: it does not clear the bar for publication yet."
    # No bar is set for encoders: their maker marks them, and says what of.
    said = (
        "**Experimental**, said of detection: at the default threshold (`precise`) it finds only a small "
        "part of the errors, and flags some right words."
    )
    return f"{said} The figures stand under Results." if manifest.metrics else said


def _usage(manifest: Manifest, languages: Sequence[str]) -> str:
    path = "classify" if manifest.task == "classify" else "detect-replaced"
    # BCP 47: en, en-GB.
    english = bool(languages) and all(code.split("-")[0].lower() == "en" for code in languages)
    text = _EXAMPLES[path]["en" if english else "zh"]
    body = json.dumps({"model": manifest.name, "input": text}, ensure_ascii=False)
    command = f"curl -s localhost:8000/{path} -H 'content-type: application/json' -d '{body}'"
    lines = [
        "## Use",
        f"Put this directory at `models/{manifest.name}/{manifest.version}` and start the service:",
    ]
    lines.append(f"```sh\n{command}\n```")
    if manifest.ngram_terms:
        lines.append(
            f"Beside the network, {manifest.ngram_terms:,} n-grams of tokens vote (TF-IDF + logistic "
            "regression, inside the same graph)."
        )
    if manifest.labels:
        shown = ", ".join(f"`{label}`" for label in manifest.labels)
        several = manifest.problem_type == "multi_label"
        lines.append(f"Labels ({'any number' if several else 'one'} per text): {shown}.")
    lines.append(f"Longest row: {manifest.max_tokens} tokens; longer text is read in overlapping windows.")
    return "\n\n".join(lines)


def _files(manifest: Manifest) -> str:
    lines = ["## Files", "| file | precision | MB | quality |\n| --- | --- | --- | --- |"]
    for graph in manifest.graphs.values():
        for precision, entry in graph.files.items():
            default = " (default)" if precision == graph.default_precision else ""
            quality = _quality(graph.quality.get(precision, {}))
            lines[-1] += f"\n| `{entry.path}` | {precision}{default} | {entry.bytes / 1e6:.1f} | {quality} |"
        for measured in sorted(graph.quality.keys() - graph.files.keys()):
            place = "not shipped"
            if measured == "bf16" and "fp32" in graph.files:
                place = f"`{graph.files['fp32'].path}`, by OpenVINO on CPUs with AMX"
            if not graph.may_use(measured):
                place += "; not used, it loses too much"
            lines[-1] += f"\n| {place} | {measured} | | {_quality(graph.quality[measured])} |"
    return "\n\n".join(lines)


def _quality(values: dict[str, float]) -> str:
    return (
        ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in values.items()) or "not measured"
    )


def _results(manifest: Manifest) -> str:
    if not manifest.metrics:
        return ""
    rows = ["| data | split | n | metric | value | baseline |\n| --- | --- | --- | --- | --- | --- |"]
    for metric in manifest.metrics:
        spread = f" ± {metric.std:.4f} ({metric.seeds} seeds)" if metric.std is not None else ""
        rows[0] += (
            f"\n| {metric.data_set} | {metric.split} | {metric.n} | {metric.metric} "
            f"| {metric.value:.4f}{spread} | {_baseline(metric)} |"
        )
    return "## Results\n\n" + rows[0]


def _baseline(metric: Metric) -> str:
    if metric.baseline_value is None:
        return ""
    tested = f" (p = {metric.baseline_p:.2g})" if metric.baseline_p is not None else ""
    return f"{metric.baseline}: {metric.baseline_value:.4f}{tested}"


def _detection(manifest: Manifest) -> str:
    if manifest.calibration is None or manifest.pooling is None:
        return ""
    thresholds = ", ".join(f"`{name}` {value:.3f}" for name, value in manifest.calibration.thresholds.items())
    layers = ", ".join(map(str, manifest.pooling.layers))
    return (
        "## Detection and sentence vectors\n\n"
        f"Probabilities are `sigmoid(logit / {manifest.calibration.temperature:.3f})`. "
        f"Thresholds: {thresholds}, fitted on {manifest.calibration.fitted_on}.\n\n"
        f"Sentence vectors: {manifest.pooling.pooling} of the average of layers {layers}, "
        f"post-processing: {manifest.pooling.postprocess}."
    )


def _training(manifest: Manifest) -> str:
    origin = manifest.provenance
    rows = {
        "licence": "" if origin.licence else "not stated by its maker",
        "recipe": origin.recipe,
        "code revision": origin.code_revision,
        "corpus digest": origin.corpus_digest,
        "tokens seen": f"{origin.tokens_seen:,}" if origin.tokens_seen else "",
        "hardware": origin.hardware,
        "exported": origin.date,
    }
    lines = ["## Training", "\n".join(f"- {name}: {value}" for name, value in rows.items() if value)]
    if origin.data:
        lines.append(
            "Data that the model saw (its text is not in the bundle):\n\n"
            + "\n".join(f"- {line}" for line in origin.data)
        )
    return "\n\n".join(lines)


def _limits(manifest: Manifest) -> str:
    if manifest.task == "classify":
        text = (
            "Scores are the model's confidence on text like that it was trained on; other text may be scored "
            "high and wrong."
        )
    else:
        text = (
            "A flag says that a word is unlikely in its place, not that it is wrong: names, rare words and "
            "quotations are flagged too. Words outside the vocabulary are never flagged."
        )
    return f"## Limits\n\n{text}"
