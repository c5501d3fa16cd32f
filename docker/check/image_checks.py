"""What is in the service's image, and how the composed container runs."""

from __future__ import annotations

import json
import os

from stack import CheckError, Stack, docker, expect

GOAL_MB = 300
_SEARCH = """
import importlib.util, json, os, shutil, sys
print(json.dumps({
    "modules": [name for name in ("pip", "setuptools", "torch", "transformers", "training")
                if importlib.util.find_spec(name)],
    "programs": [name for name in ("gcc", "cc", "g++", "make", "pip", "pip3", "git", "curl", "wget")
                 if shutil.which(name)],
    "uid": os.getuid(),
    "writable": [path for path in ("/", "/opt/electra", "/models", "/etc") if os.access(path, os.W_OK)],
    "python": sys.version.split()[0],
}))
"""


def image(stack: Stack) -> str:
    """Small, labelled, with its bill of materials, without tools, not root."""
    name = os.environ["SERVICE_IMAGE"]
    about = json.loads(docker("image", "inspect", name))[0]
    config = about["Config"]
    size = about["Size"] / 1e6
    expect(size < GOAL_MB, f"the image has {size:.0f} MB, the goal is {GOAL_MB}")
    expect(config["User"] == "10001:10001", f"the image runs as {config['User'] or 'root'}")
    expect(config["StopSignal"] == "SIGTERM", "STOPSIGNAL is not SIGTERM")
    expect(config["Healthcheck"], "the image has no health check")
    labels = {name for name in config["Labels"] or {} if name.startswith("org.opencontainers.image.")}
    expect(len(labels) >= 5, f"labels are missing: only {', '.join(sorted(labels))}")
    found = json.loads(
        docker("run", "--rm", "--network", "none", "--entrypoint", "python", name, "-c", _SEARCH)
    )
    for kind in ("modules", "programs", "writable"):
        expect(not found[kind], f"{kind}: {', '.join(found[kind])} should not be there")
    sbom = json.loads(
        docker("run", "--rm", "--network", "none", "--entrypoint", "cat", name, "/opt/electra/sbom.cdx.json")
    )
    named = {component["name"] for component in sbom["components"]}
    expect({"onnxruntime", "electra-platform"} <= named, "the bill of materials lacks what is installed")
    return f"{size:.0f} MB, uid {found['uid']}, Python {found['python']}, {len(named)} components in its bill"


def up(stack: Stack) -> str:
    """`up` and healthy, with the limits, restart policy and read-only root that compose.yaml gives."""
    seconds = stack.up()
    about = stack.inspect()
    host = about["HostConfig"]
    expect(host["ReadonlyRootfs"], "the root file system can be written")
    expect(host["Memory"] == host["MemorySwap"] == 1 << 30, f"memory limit {host['Memory']}")
    expect(host["NanoCpus"] == 10**9, f"CPU limit {host['NanoCpus']}")
    expect(host["RestartPolicy"]["Name"] == "unless-stopped", "no restart policy")
    expect(host["LogConfig"]["Config"].get("max-size"), "logs are not rotated")
    expect(host["CapDrop"] == ["ALL"], "capabilities are kept")
    models = [mount for mount in about["Mounts"] if mount["Destination"] == "/models"]
    expect(models and not models[0]["RW"], "models/ is not mounted read-only")
    try:
        docker("exec", stack.container, "sh", "-c", "echo x > /opt/x")
    except CheckError:
        pass
    else:
        raise CheckError("a file could be written to the root file system")
    uid = docker("exec", stack.container, "sh", "-c", "grep ^Uid: /proc/1/status").split()[1]
    expect(uid != "0", "the process runs as root")
    expect(stack.ask("GET", "/readyz").status == 200, "/readyz through the published port")
    served = ", ".join(f"{name} {version}" for name, version in sorted(stack.served().items()))
    return f"healthy after {seconds:.0f} s as uid {uid}, read-only; serves {served}"


def threads(stack: Stack) -> str:
    """Inference threads follow the CPU limit."""
    seen = {}
    for cpus in range(1, min(2, os.cpu_count() or 1) + 1):
        stack.up(CPUS=str(cpus))
        seen[cpus] = stack.ask("GET", "/info").json()["threads"]
    expect(all(cpus == count for cpus, count in seen.items()), f"threads by CPUs: {seen}")
    return ", ".join(f"CPUS={cpus} gives {count} thread(s)" for cpus, count in seen.items())
