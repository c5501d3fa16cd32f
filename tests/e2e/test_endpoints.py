"""Every endpoint over HTTP, as its clients call it."""

from __future__ import annotations

import pytest

from tests.server import Server, eventually

SENTENCE = "我喜欢吃苹果。"
ENVELOPE = {"id", "object", "created", "model", "data", "usage"}


@pytest.mark.parametrize("alias", ["input", "inputs", "text"])
def test_classify_answers_in_vllms_shape(server: Server, alias: str) -> None:
    answer = server.post("/classify", {alias: SENTENCE})
    assert answer.status_code == 200
    document = answer.json()
    assert set(document) == ENVELOPE
    assert document["object"] == "list"
    assert document["model"] == "sentiment"
    (item,) = document["data"]
    assert set(item) == {
        "index", "label", "score", "probs", "num_classes", "scores", "windows", "truncated",
    }  # fmt: skip
    assert item["num_classes"] == 2
    assert sum(item["probs"]) == pytest.approx(1)
    assert item["label"] == item["scores"][0]["label"]
    assert item["score"] == max(item["probs"])
    assert document["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_classify_keeps_the_order_of_a_list(server: Server) -> None:
    texts = ["好", "坏", "今天天气很好", "the cat sat on the mat"]
    together = server.post("/classify", {"input": texts, "model": "topic", "top_k": 1}).json()["data"]
    alone = [server.post("/classify", {"input": text, "model": "topic"}).json()["data"][0] for text in texts]
    assert [item["index"] for item in together] == [0, 1, 2, 3]
    for one, other in zip(together, alone, strict=True):
        assert one["probs"] == pytest.approx(other["probs"], abs=1e-5)
        assert len(one["scores"]) == 1


def test_vllms_published_requests(server: Server) -> None:
    """https://docs.vllm.ai: the client asks for the first model and classifies strings, then token ids."""
    model = server.get("/v1/models").json()["data"][0]["id"]
    prompts = [
        "Hello, my name is",
        "The president of the United States is",
        "The capital of France is",
        "The future of AI is",
    ]
    by_text = server.post("/classify", {"model": model, "input": prompts})
    assert by_text.status_code == 200
    assert [item["index"] for item in by_text.json()["data"]] == [0, 1, 2, 3]
    ids = [
        server.post("/tokenize", {"model": model, "prompt": prompt}).json()["tokens"] for prompt in prompts
    ]
    by_ids = server.post("/classify", {"model": model, "input": ids})
    assert by_ids.status_code == 200, by_ids.text
    for one, other in zip(by_text.json()["data"], by_ids.json()["data"], strict=True):
        assert one["probs"] == pytest.approx(other["probs"], abs=1e-6)
    assert by_ids.json()["usage"] == by_text.json()["usage"]
    logits = server.post("/classify", {"input": "good", "use_activation": False, "user": "u", "priority": 1})
    assert sum(logits.json()["data"][0]["probs"]) != pytest.approx(1)


def test_teis_published_requests(server: Server) -> None:
    """https://huggingface.co/docs/text-embeddings-inference: one text, then a batch of two."""
    one = server.post("/predict", {"inputs": "I like you."})
    assert one.status_code == 200
    assert {item["label"] for item in one.json()} == {"negative", "positive"}
    scores = [item["score"] for item in one.json()]
    assert scores == sorted(scores, reverse=True)
    both = server.post("/predict", {"inputs": [["I like you."], ["I hate pineapples"]]})
    assert len(both.json()) == 2
    assert [item["score"] for item in both.json()[0]] == pytest.approx(scores, abs=1e-6)
    pair = server.post("/predict", {"inputs": ["I like you.", "I hate pineapples"]})
    assert isinstance(pair.json()[0], dict), "a flat list of two is one pair"
    raw = server.post(
        "/predict",
        {
            "inputs": "I like you.",
            "raw_scores": True,
            "truncate": True,
            "truncation_direction": "Left",
            "x": 1,
        },
    )
    assert raw.status_code == 200
    assert sum(item["score"] for item in raw.json()) != pytest.approx(1)
    assert int(one.headers["x-compute-tokens"]) > 0


def test_detect_replaced_points_into_the_text(server: Server) -> None:
    text = "今天🍎错天气很好。"
    (item,) = server.post("/detect-replaced", {"input": text, "suggestions": 3}).json()["data"]
    (span,) = item["spans"]
    assert text[span["start"] : span["end"]] == span["text"] == "错"
    assert 1 <= len(span["suggestions"]) <= 3
    assert all(text[token["start"] : token["end"]] == token["word"] for token in item["tokens"])
    (item,) = server.post("/detect-replaced", {"input": text, "offset_unit": "utf16"}).json()["data"]
    assert item["spans"][0]["start"] == span["start"] + 1
    assert item["offset_unit"] == "utf16"
    for protected in (["错"], [{"start": span["start"], "end": span["end"]}]):
        (item,) = server.post("/detect-replaced", {"input": text, "protected": protected}).json()["data"]
        assert item["spans"] == []


def test_summarize_keeps_the_number_of_sentences(server: Server) -> None:
    text = "我喜欢吃苹果。今天天气很好！The cat sat on the mat. 他说的是新闻。"
    (item,) = server.post("/summarize", {"input": text, "num_sentences": 2}).json()["data"]
    chosen = [sentence for sentence in item["sentences"] if sentence["selected"]]
    assert len(chosen) == item["k"] == 2
    assert all(text[s["start"] : s["end"]] == s["text"] for s in item["sentences"])
    assert all(sentence["text"] in item["summary_text"] for sentence in chosen)


def test_models_and_info_say_what_is_served(server: Server) -> None:
    models = server.get("/v1/models").json()
    assert [(model["id"], model["default"]) for model in models["data"]] == [
        ("sentiment", True),
        ("topic", False),
        ("encoder", True),
    ]
    assert server.get("/v1/models/topic").json()["labels"] == ["sports", "economy", "world"]
    info = server.get("/info").json()
    assert info["model_id"] == "sentiment"
    assert info["model_type"]["classifier"]["id2label"] == {"0": "negative", "1": "positive"}
    assert [model["id"] for model in info["models"]] == ["sentiment", "topic", "encoder"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready"])
def test_probes(server: Server, path: str) -> None:
    answer = server.get(path)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "reason": ""}


def test_metrics_count_what_was_done(server: Server) -> None:
    def value(name: str) -> float:
        for line in server.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    name = 'electra_requests_total{method="POST",route="/classify",status="200"}'
    before = value(name)
    server.post("/classify", {"input": "好"})
    assert eventually(lambda: value(name) == before + 1)
    assert value("electra_ready") == 1
    assert value('electra_phase_seconds_count{phase="inference",route="/classify"}') >= 1
    assert value('electra_batch_padding_ratio_count{model="sentiment"}') >= 1
    assert value('electra_queue_tokens{model="sentiment"}') == 0


def test_every_answer_carries_its_id_and_its_time(server: Server) -> None:
    answer = server.post("/classify", {"input": "好"}, headers={"X-Request-ID": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    phases = [part.split(";")[0].strip() for part in answer.headers["server-timing"].split(",")]
    assert phases == ["tokenize", "queue", "inference", "total"]
    assert answer.headers["x-model-version"] == "sentiment/1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    made_up = server.get("/nowhere", headers={"X-Request-ID": "bad id with spaces"})
    assert made_up.headers["x-request-id"] == made_up.json()["request_id"] != "bad id with spaces"


def test_the_log_names_requests_and_never_shows_text(server: Server) -> None:
    secret = "他说的是一二三四五六七"
    server.post("/classify", {"input": secret}, headers={"X-Request-ID": "find-me"})
    line = eventually(lambda: next((line for line in server.log.splitlines() if '"find-me"' in line), None))
    assert '"tokens":13' in line
    assert secret not in server.log


def test_page_and_reference_come_from_here(server: Server) -> None:
    page = server.get("/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for path in (
        "/docs",
        "/vendor/swagger-ui/swagger-ui-bundle.js",
        "/reference/reference.js",
        "/favicon.svg",
    ):
        assert server.get(path).status_code == 200, path
    assert "//" not in server.get("/docs").text.replace("<!doctype html>", "")
    document = server.get("/openapi.json").json()
    assert {"/classify", "/predict", "/tokenize", "/detect-replaced", "/summarize"} <= set(document["paths"])
