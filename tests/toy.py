"""Toy bundles with graphs whose answers are known: fast to build, no torch, real ONNX files.

Semantics: every vocabulary id has a fixed random vector ``table[id]``; ``hidden`` is that vector plus the
mean vector of the row's real tokens; replaced-token ``logits`` are ``scores[id]`` (so a test chooses which
words look replaced); classifier logits are the masked mean of ``table`` times a matrix; generator logits are
``hidden @ table.T``.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from app import bundle as b
from app.bundle_files import file_entry, write_manifest

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN = 16
WORDS = [
    "我",
    "喜",
    "欢",
    "吃",
    "苹",
    "果",
    "今",
    "天",
    "气",
    "很",
    "好",
    "不",
    "坏",
    "错",
    "他",
    "说",
    "的",
    "是",
    "了",
    "在",
    "人",
    "们",
    "去",
    "公",
    "园",
    "吧",
    "新",
    "闻",
    "体",
    "育",
    "经",
    "济",
    "中",
    "国",
    "大",
    "小",
    "上",
    "下",
    "一",
    "二",
    "三",
    "四",
    "五",
    "六",
    "七",
    "八",
    "九",
    "十",
    "。",
    "，",
    "！",
    "？",
    "；",
    "：",
    "“",
    "”",
    "‘",
    "’",
    "…",
    "—",
    "（",
    "）",
    "、",
    ".",
    ",",
    "!",
    "?",
    ";",
    ":",
    '"',
    "'",
    "(",
    ")",
    "-",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "t",
    "u",
    "v",
    "w",
    "x",
    "y",
    "z",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "the",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "good",
    "bad",
    "love",
    "like",
    "apple",
    "apples",
    "phone",
    "pro",
    "iphone",
    "hello",
    "world",
    "mask",
    "##a",
    "##b",
    "##c",
    "##d",
    "##e",
    "##f",
    "##g",
    "##h",
    "##i",
    "##j",
    "##k",
    "##l",
    "##m",
    "##n",
    "##o",
    "##p",
    "##q",
    "##r",
    "##s",
    "##t",
    "##u",
    "##v",
    "##w",
    "##x",
    "##y",
    "##z",
    "##0",
    "##1",
    "##2",
    "##3",
    "##4",
    "##5",
    "##6",
    "##7",
    "##8",
    "##9",
    "##ing",
    "##ed",
]


def toy_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer over ``SPECIALS + WORDS`` that splits Chinese by character."""
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(SPECIALS + WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True, strip_accents=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(r"[“”‘’…—]"), "isolated")]
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def toy_bundle(
    models_dir: Path,
    name: str,
    version: str = "1",
    task: b.Task = "encode",
    *,
    labels: tuple[str, ...] = ("negative", "positive"),
    problem_type: b.ProblemType = "single_label",
    replaced: tuple[str, ...] = ("错",),
    max_tokens: int = 64,
    seed: int = 0,
) -> Path:
    """Write a complete bundle under ``models_dir/name/version`` and return its directory.

    ``replaced``: vocabulary entries whose replaced-token logit is +4; all others get -4.
    """
    root = models_dir / name / version
    root.mkdir(parents=True)
    tokenizer = toy_tokenizer()
    tokenizer.save(str(root / b.TOKENIZER_NAME))
    vocabulary = tokenizer.get_vocab()
    size = len(vocabulary)
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(size, HIDDEN)).astype(np.float32)
    graphs: dict[b.GraphName, b.Graph] = {}
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    if task == "encode":
        scores = np.full((size, 1), -4.0, np.float32)
        for token in replaced:
            scores[vocabulary[token]] = 4.0
        onnx.save(_encoder_graph(table, scores), root / "model.onnx")
        onnx.save(_generator_graph(table), root / "generator.onnx")
        graphs["model"] = _graph(root, "model.onnx", inputs, ["logits", "hidden"])
        graphs["generator"] = _graph(root, "generator.onnx", [*inputs, "positions"], ["logits"])
    else:
        weight = generator.normal(size=(HIDDEN, len(labels))).astype(np.float32)
        onnx.save(_classifier_graph(table, weight), root / "model.onnx")
        graphs["model"] = _graph(root, "model.onnx", inputs, ["logits"])
    (root / "README.md").write_text(f"# {name}\n\nA toy bundle for tests.\n", encoding="utf-8")
    manifest = b.Manifest(
        name=name,
        version=version,
        task=task,
        problem_type=problem_type if task == "classify" else None,
        labels=list(labels) if task == "classify" else [],
        max_tokens=max_tokens,
        vocab_size=size,
        hidden_size=HIDDEN,
        special_tokens=b.SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=4),
        graphs=graphs,
        tokenizer=file_entry(root, b.TOKENIZER_NAME),
        card=file_entry(root, "README.md"),
        calibration=b.Calibration(
            thresholds={"balanced": 0.5, "precise": 0.9, "sensitive": 0.2}, fitted_on="toy", date="2026-01-01"
        )
        if task == "encode"
        else None,
        pooling=b.Pooling(layers=[-1]) if task == "encode" else None,
        provenance=b.Provenance(
            recipe="tests/toy.py",
            code_revision="toy",
            corpus_digest="toy",
            tokens_seen=0,
            hardware="none",
            licence="Apache-2.0",
            date=date.today().isoformat(),
        ),
    )
    write_manifest(root, manifest)
    return root


def _graph(root: Path, file: str, inputs: list[str], outputs: list[str]) -> b.Graph:
    return b.Graph(
        inputs=inputs, outputs=outputs, files={"fp32": file_entry(root, file)}, default_precision="fp32"
    )


def _model(
    nodes: list, outputs: list, initializers: dict[str, np.ndarray], extra_inputs: list = ()
) -> onnx.ModelProto:
    grid = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [*grid, *extra_inputs],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _context_nodes() -> list:
    """``vectors`` [batch, tokens, hidden], ``mean`` [batch, 1, hidden] over real tokens, ``hidden`` their
    sum.
    """
    return [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("Cast", ["attention_mask"], ["mask2"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask2", "last"], ["mask"]),
        helper.make_node("Mul", ["vectors", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "one"], ["total"], keepdims=1),
        helper.make_node("ReduceSum", ["mask", "one"], ["count"], keepdims=1),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("Add", ["vectors", "mean"], ["hidden"]),
    ]


_AXES = {"last": np.array([2], np.int64), "one": np.array([1], np.int64)}


def _encoder_graph(table: np.ndarray, scores: np.ndarray) -> onnx.ModelProto:
    nodes = [
        *_context_nodes(),
        helper.make_node("Gather", ["scores", "input_ids"], ["logits3"]),
        helper.make_node("Squeeze", ["logits3", "last"], ["logits"]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "tokens"]),
        helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "tokens", HIDDEN]),
    ]
    return _model(nodes, outputs, {"table": table, "scores": scores, **_AXES})


def _generator_graph(table: np.ndarray) -> onnx.ModelProto:
    nodes = [
        *_context_nodes(),
        helper.make_node("Reshape", ["hidden", "flat"], ["rows"]),
        helper.make_node("Gather", ["rows", "positions"], ["chosen"]),
        helper.make_node("MatMul", ["chosen", "output"], ["logits"]),
    ]
    positions = [helper.make_tensor_value_info("positions", TensorProto.INT64, ["positions"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["positions", table.shape[0]])]
    constants = {"table": table, "output": table.T.copy(), "flat": np.array([-1, HIDDEN], np.int64), **_AXES}
    return _model(nodes, outputs, constants, positions)


def _classifier_graph(table: np.ndarray, weight: np.ndarray) -> onnx.ModelProto:
    nodes = [
        *_context_nodes(),
        helper.make_node("Squeeze", ["mean", "one"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "weight"], ["logits"]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", weight.shape[1]])]
    return _model(nodes, outputs, {"table": table, "weight": weight, **_AXES})
