"""FastAPI around transformers' pipeline: what most services of one model look like."""

import json
import os
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
classifier = pipeline("text-classification", model=json.loads(os.environ["BENCH_SETTINGS"])["checkpoint"])


class Body(BaseModel):
    input: str


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/classify")
def classify(body: Body) -> dict:
    return classifier(body.input)[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
