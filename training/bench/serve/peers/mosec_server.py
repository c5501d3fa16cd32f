"""mosec: one worker, batches of up to 32 within 5 ms. Port and address are mosec's own flags."""

from mosec import Server, Worker
from onnx_classifier import OnnxClassifier


class Classifier(Worker):
    def __init__(self) -> None:
        self.classify = OnnxClassifier()

    def forward(self, data: list[dict]) -> list[dict]:
        return self.classify([one["input"] for one in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classifier, num=1, max_batch_size=32, max_wait_time=5)
    server.run()
