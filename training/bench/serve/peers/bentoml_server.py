"""BentoML: a service with a batchable method, up to 32 texts; `bentoml serve bentoml_server:Classifier`."""

import bentoml
from onnx_classifier import OnnxClassifier


@bentoml.service(traffic={"timeout": 60})
class Classifier:
    def __init__(self) -> None:
        self.model = OnnxClassifier()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=60_000)
    def classify(self, input: list[str]) -> list[dict]:
        return self.model(input)
