"""What happens when the service is stopped, killed, flooded, or given a damaged bundle."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import time

from stack import ROOT, CheckError, Stack, docker, eventually, expect

_STOP_AFTER_S = 4.0
_FLOODERS = 48


def stop_under_load(stack: Stack) -> str:
    """`docker stop` while clients send: everything that was accepted is answered, and the exit code is 0."""
    stack.up()
    container = stack.container
    crowd = subprocess.Popen(
        [
            os.environ["DOCKER"], "run", "--rm", "--network", f"container:{container}",
            "--entrypoint", "python", "-v", f"{ROOT}/docker/check/crowd.py:/crowd/crowd.py:ro",
            "-v", f"{ROOT}/tests/load.py:/crowd/load.py:ro",
            os.environ["SERVICE_IMAGE"], "/crowd/crowd.py", "60",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        time.sleep(_STOP_AFTER_S)
        began = time.monotonic()
        docker("stop", "--time", "75", container)
        seconds = time.monotonic() - began
        output, errors = crowd.communicate(timeout=90)
    finally:
        if crowd.poll() is None:
            crowd.kill()
    expect(output.strip(), f"the clients failed: {errors.strip()[-300:]}")
    seen = json.loads(output)
    statuses = seen["statuses"]
    code = stack.inspect()["State"]["ExitCode"]
    expect(code == 0, f"the exit code is {code}")
    expect(statuses.get("200", 0) > 0, f"nothing was answered: {seen}")
    expect(set(statuses) == {"200"}, f"requests were lost: {seen}")
    expect(seen["refused"] > 0, "the service ended after its clients; nothing was tried")
    return f"{statuses['200']} requests of 12 clients all got 200, stopped in {seconds:.1f} s with code 0"


def kill(stack: Stack) -> str:
    """kill -9 of the process: the engine starts it again."""
    stack.up()
    state = stack.inspect()["State"]
    os.kill(state["Pid"], signal.SIGKILL)

    def restarted() -> bool:
        now = stack.inspect()
        return bool(
            now["RestartCount"] >= 1 and now["State"]["Running"] and now["State"]["Pid"] != state["Pid"]
        )

    began = time.monotonic()
    eventually("started again", restarted, 60)
    stack.wait_healthy()
    expect(stack.ask("POST", "/classify", {"input": "好"}).status == 200, "no answer after the restart")
    return f"running and healthy again after {time.monotonic() - began:.0f} s"


def flood(stack: Stack) -> str:
    """Many more tokens than the queue takes: 429 with Retry-After, memory below its limit, no restart."""
    stack.up()
    # Together more than the queue takes, and one by one in time even on a processor ten times slower.
    body = {"input": ["今天天气很好，我们去公园吧。" * 30] * 16}

    def client(_: int) -> collections.Counter[str]:
        seen: collections.Counter[str] = collections.Counter()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                reply = stack.ask("POST", "/classify", body, timeout=90)
            except OSError as error:
                seen[type(error).__name__] += 1
                continue
            seen[str(reply.status)] += 1
            if reply.status == 429:
                seen["Retry-After"] += "retry-after" in reply.headers
                time.sleep(0.05)
        return seen

    total: collections.Counter[str] = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(_FLOODERS) as pool:
        for seen in pool.map(client, range(_FLOODERS)):
            total += seen
    about = stack.inspect()
    peak = _peak_bytes(stack)
    shown = ", ".join(f"{count} x {what}" for what, count in sorted(total.items()))
    expect(not about["State"]["OOMKilled"] and about["RestartCount"] == 0, f"it was killed: {shown}")
    expect(total["429"] > 0 and total["200"] > 0, f"no 429 beside 200: {shown}")
    expect(total["Retry-After"] == total["429"], "a 429 has no Retry-After")
    expect(set(total) <= {"200", "429", "504", "Retry-After"}, f"other answers: {shown}")
    expect(stack.ask("POST", "/classify", {"input": "好"}).status == 200, "no answer after the flood")
    limit = about["HostConfig"]["Memory"]
    return f"{shown}; memory at most {peak / 1e6:.0f} of {limit / 1e6:.0f} MB, no OOM kill, no restart"


def _peak_bytes(stack: Stack) -> int:
    """Most memory that the container's cgroup held (version 2 or 1)."""
    script = "cat /sys/fs/cgroup/memory.peak || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    return int(docker("exec", stack.container, "sh", "-c", script).splitlines()[-1])


def damaged(stack: Stack) -> str:
    """A new version with one changed byte is refused with the reason; the old one stays and answers."""
    models = stack.scratch / "damaged"
    shutil.rmtree(models, ignore_errors=True)
    shutil.copytree(stack.models, models)
    stack.up(MODELS=str(models), ELECTRA_WATCH_INTERVAL_S="1")
    name, version = next(iter(sorted(stack.served().items())))
    newer = f"{version}000"
    bad = models / name / f"{newer}.tmp"
    shutil.copytree(models / name / version, bad)
    manifest = json.loads((bad / "bundle.json").read_text(encoding="utf-8"))
    manifest["version"] = newer
    (bad / "bundle.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    graph = max(bad.glob("*.onnx"), key=lambda path: path.stat().st_size)
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    bad.rename(models / name / newer)

    def refusal() -> str:
        cards = stack.ask("GET", "/v1/models").json()["data"]
        return next((str(card["refused"].get(newer, "")) for card in cards if card["id"] == name), "")

    reason = eventually("refused", refusal, 30)
    expect(stack.served()[name] == version, "the damaged version is served")
    # With nothing else to serve, the container ends with the reason.
    for other in [path for path in models.iterdir() if path.name != name]:
        shutil.rmtree(other)
    shutil.rmtree(models / name / version)
    try:
        stack.up(MODELS=str(models))
    except CheckError as failure:
        expect("no model can be served" in str(failure), str(failure))
    else:
        raise CheckError("it starts with nothing but a damaged bundle")
    return f"{name} {newer} refused ({reason[:110]}), {name} {version} stays; alone it is no start"
