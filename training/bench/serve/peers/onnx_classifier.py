"""What the peers without an engine of their own serve: onnxruntime and the tokenizer, batched by padding."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class OnnxClassifier:
    """The exported graph on the CPU, with as many threads as ELECTRA's own service takes."""

    def __init__(self) -> None:
        settings = json.loads(os.environ["BENCH_SETTINGS"])
        bundle = Path(settings["bundle"])
        manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        self._labels = manifest["labels"]
        self._tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        special = manifest["special_tokens"]
        self._tokenizer.enable_padding(pad_id=special["pad"])
        self._tokenizer.enable_truncation(manifest["max_tokens"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings["threads"]
        graph = manifest["graphs"]["model"]["files"]["fp32"]["path"]
        self._session = onnxruntime.InferenceSession(str(bundle / graph), options)
        self._inputs = manifest["graphs"]["model"]["inputs"]

    def __call__(self, texts: list[str]) -> list[dict[str, object]]:
        """Label and score of each text."""
        encoded = self._tokenizer.encode_batch(texts)
        arrays = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        (logits,) = self._session.run(["logits"], {name: arrays[name] for name in self._inputs})
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = odds / odds.sum(axis=1, keepdims=True)
        best = scores.argmax(axis=1)
        return [
            {"label": self._labels[label], "score": float(row[label])}
            for row, label in zip(scores, best, strict=True)
        ]
