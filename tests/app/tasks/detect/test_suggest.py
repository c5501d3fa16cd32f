import asyncio
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from app.scheduler.engine import RequestContext
from app.tasks.detect import DetectOptions, detect_replaced
from app.tasks.detect import suggest as module
from app.tasks.detect.candidates import Candidate, piece_table
from app.tasks.local import local_model
from app.tasks.model import ServedModel
from tests.toy import toy_bundle

REPLACED = ("错", "三", "bad")


class Recorder:
    """Passes calls on to an engine and keeps them."""

    def __init__(self, engine):
        self.engine = engine
        self.calls = []

    async def infer(self, sequences, context, *, graph="model"):
        self.calls.append((graph, list(sequences)))
        return await self.engine.infer(sequences, context, graph=graph)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return toy_bundle(tmp_path_factory.mktemp("models"), "encoder", replaced=REPLACED, max_tokens=24)


@pytest.fixture(scope="module")
def model(root):
    return local_model(root)


@pytest.fixture
def recorded(model):
    return ServedModel(model.bundle, model.encoder, Recorder(model.engine))


@pytest.fixture(scope="module")
def table(root):
    graph = onnx.load(root / "generator.onnx").graph
    return next(numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer if i.name == "table")


def run(model, *texts, **options):
    return asyncio.run(detect_replaced(model, list(texts), DetectOptions(**options), RequestContext()))


def belief(piece):
    return 1 / (1 + np.exp(4.0 if piece in REPLACED else -4.0))


def expected(model, table, text, positions, count):
    """Suggestions for one-token spans, by definition: generator times belief, over all pieces that fit."""
    encoder = model.encoder
    ids = encoder.encode(text).ids
    row = np.array([2, *ids, 3])
    row[[position + 1 for position in positions]] = 4
    hidden = table[row] + table[row].mean(axis=0)
    answers = []
    for position in positions:
        logits = hidden[position + 1] @ table.T
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        fitting = [
            i for i in piece_table(encoder).fitting(ids[position], text[position]) if i != ids[position]
        ]
        pool = sorted(fitting, key=lambda i: -probabilities[i])[: max(count, module.FEWEST_CANDIDATES)]
        scores = {encoder.pieces[i]: probabilities[i] * belief(encoder.pieces[i]) for i in pool}
        answers.append(sorted(scores.items(), key=lambda item: -item[1])[:count])
    return answers


@pytest.mark.parametrize("count", [1, 3, 10])
def test_suggestions_are_ranked_by_generator_times_discriminator(model, table, count):
    text = "我喜欢错苹果。今天错气很好"
    (answer,) = run(model, text, suggestions=count)
    wanted = expected(model, table, text, [3, 9], count)
    assert [span.start for span in answer.spans] == [3, 9]
    for span, pairs in zip(answer.spans, wanted, strict=True):
        assert [suggestion.text for suggestion in span.suggestions] == [text for text, _ in pairs]
        np.testing.assert_allclose(
            [suggestion.score for suggestion in span.suggestions], [score for _, score in pairs], rtol=1e-2
        )
        for suggestion in span.suggestions:
            assert suggestion.delta == pytest.approx(belief(suggestion.text) - belief("错"), abs=1e-6)


def test_a_repair_is_judged_at_the_bundle_s_temperature(tmp_path):
    model = local_model(toy_bundle(tmp_path, "encoder", replaced=REPLACED))
    model.bundle.manifest.calibration.temperature = 4.0
    (span,) = run(model, "我喜欢错苹果", suggestions=1, threshold=0.5)[0].spans
    after = 1 / (1 + np.exp(1.0))
    assert span.score == pytest.approx(1 - after)
    assert span.suggestions[0].delta == pytest.approx(1 - 2 * after, abs=1e-6)


def test_a_candidate_that_looks_replaced_itself_falls_behind(model, table):
    text = "我喜欢错苹果"
    (span,) = run(model, text, suggestions=5)[0].spans
    ranked = [suggestion.text for suggestion in span.suggestions]
    by_generator = sorted(ranked, key=lambda t: -dict(expected(model, table, text, [3], 5)[0])[t] / belief(t))
    assert by_generator.index("三") < ranked.index("三")


def test_a_window_costs_one_row_of_the_generator_and_one_batch_of_the_discriminator(recorded):
    text = "我喜欢错苹果。" * 9
    answers = run(recorded, text, "错", "好", suggestions=2)
    windows = answers[0].windows
    assert windows > 2
    (first, *rest) = recorded.engine.calls
    assert (first[0], len(first[1])) == ("model", windows + 2)
    assert [graph for graph, _ in rest] == ["generator", "model"]
    masked, repaired = rest[0][1], rest[1][1]
    assert len(masked) == windows + 1
    assert len(repaired) == (windows + 1) * module.FEWEST_CANDIDATES
    mask = recorded.encoder.special_tokens.mask
    for row in masked:
        assert (row.input_ids[row.positions] == mask).all()
    assert sum(len(row.positions) for row in masked) == 10
    assert all(span.suggestions for answer in answers for span in answer.spans)


def test_calls_are_bounded_and_answers_do_not_depend_on_it(recorded, monkeypatch):
    text = "我喜欢错苹果。" * 9
    (whole,) = run(recorded, text, suggestions=2)
    recorded.engine.calls.clear()
    monkeypatch.setattr(module, "WINDOWS_PER_CALL", 2)
    monkeypatch.setattr(module, "POSITIONS_PER_CALL", 4)
    (bounded,) = run(recorded, text, suggestions=2)
    assert whole.spans
    assert max(len(rows) for graph, rows in recorded.engine.calls if graph == "generator") <= 2
    for span, same in zip(whole.spans, bounded.spans, strict=True):
        assert [s.text for s in same.suggestions] == [s.text for s in span.suggestions]
        assert [s.score for s in same.suggestions] == pytest.approx(
            [s.score for s in span.suggestions], rel=1e-2
        )
    for graph, rows in recorded.engine.calls[1:]:
        if graph == "generator":
            assert len(rows) <= 2
            assert len(rows) == 1 or sum(len(row.positions) for row in rows) <= 4


def test_a_call_holds_so_many_windows_and_so_many_positions():
    def windows(count, positions):
        return [[(number, SimpleNamespace(positions=np.arange(positions)))] for number in range(count)]

    def sizes(found):
        return [len(group) for group in module._calls(found)]

    assert sizes(windows(17, 1)) == [module.WINDOWS_PER_CALL, module.WINDOWS_PER_CALL, 1]
    assert sizes(windows(5, module.POSITIONS_PER_CALL // 2)) == [2, 2, 1]
    assert sizes(windows(2, module.POSITIONS_PER_CALL + 1)) == [1, 1]


def test_a_span_that_runs_out_of_candidates_keeps_its_likeliest(model):
    ids = np.array([7, 8, 9])
    places = [SimpleNamespace(window_ids=ids, positions=np.array([index])) for index in (0, 2)]
    proposed = {
        0: [Candidate((number,), "", 0.1) for number in (20, 21, 22)],
        1: [Candidate((number,), "", 0.1) for number in (30, 31)],
    }
    rows = module._repaired_rows(model, list(enumerate(places)), proposed)
    assert [row.input_ids[1:-1].tolist() for row in rows] == [[20, 8, 30], [21, 8, 31], [22, 8, 30]]


def test_no_suggestions_cost_nothing(recorded):
    run(recorded, "我喜欢错苹果")
    run(recorded, "我喜欢苹果", suggestions=5)
    assert [graph for graph, _ in recorded.engine.calls] == ["model", "model"]


def test_suggestions_keep_script_length_and_case(model):
    (answer,) = run(model, "吃错错，Bad dog", suggestions=10)
    han, latin = answer.spans
    assert han.text == "错错"
    assert len(han.suggestions) == len(latin.suggestions) == 10
    assert all(len(suggestion.text) == 2 and suggestion.text != "错错" for suggestion in han.suggestions)
    assert all(s.text[0].isupper() and s.text.isascii() and s.text.isalpha() for s in latin.suggestions)
    for span in answer.spans:
        scores = [suggestion.score for suggestion in span.suggestions]
        assert scores == sorted(scores, reverse=True)
        assert len({suggestion.text for suggestion in span.suggestions}) == 10


def test_unknown_words_can_be_repaired_when_flagged(model):
    (answer,) = run(model, "吃龘果", suggestions=3, threshold=0.0, flag_unknown=True, protected=("吃", "果"))
    (span,) = answer.spans
    assert span.text == "龘"
    assert len(span.suggestions) == 3


def test_likeness_in_sound_is_part_of_the_score(model):
    text = "我十错欢"
    (plain,) = run(model, text, suggestions=10, threshold=0.0, protected=("我", "错", "欢"))
    (weighed,) = run(
        model, text, suggestions=10, threshold=0.0, protected=("我", "错", "欢"), sound_alike=True
    )
    by_text = {suggestion.text: suggestion.score for suggestion in plain.spans[0].suggestions}
    assert weighed.spans[0].suggestions[0].text in {"是", "四"}
    shared = [suggestion for suggestion in weighed.spans[0].suggestions if suggestion.text in by_text]
    assert shared
    for suggestion in shared:
        prior = {"是": 1.0, "四": 0.1}.get(suggestion.text, 0.003)
        assert suggestion.score == pytest.approx(by_text[suggestion.text] * prior, rel=1e-2)
