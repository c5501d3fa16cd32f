"""LitServe: an API class, batches of up to 32 within 5 ms."""

import sys

import litserve
from onnx_classifier import OnnxClassifier


class ClassifierAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classify = OnnxClassifier()

    def decode_request(self, request: dict) -> str:
        return request["input"]

    def predict(self, texts: list[str]) -> list[dict]:
        return self.classify(list(texts))

    def encode_response(self, output: dict) -> dict:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(ClassifierAPI(max_batch_size=32, batch_timeout=0.005), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
