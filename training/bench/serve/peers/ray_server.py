"""Ray Serve: one replica, batches of up to 32 within 5 ms."""

import sys
import time

from onnx_classifier import OnnxClassifier
from ray import serve
from starlette.requests import Request


@serve.deployment(max_ongoing_requests=256)
class Classifier:
    def __init__(self) -> None:
        self.model = OnnxClassifier()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def classify(self, texts: list[str]) -> list[dict]:
        return self.model(texts)

    async def __call__(self, request: Request) -> dict:
        if request.method == "GET":
            return {"status": "ok"}
        return await self.classify((await request.json())["input"])


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Classifier.bind())
    while True:
        time.sleep(60)
