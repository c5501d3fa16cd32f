"""FastAPI around onnxruntime: a plain endpoint that runs one text at a time, in the framework's threads."""

import sys

import uvicorn
from fastapi import FastAPI
from onnx_classifier import OnnxClassifier
from pydantic import BaseModel

app = FastAPI()
classifier = OnnxClassifier()


class Body(BaseModel):
    input: str


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/classify")
def classify(body: Body) -> dict:
    return classifier([body.input])[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
