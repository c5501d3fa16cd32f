"""The manifests are what Kubernetes takes, to the letter, and say what the service says."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.main import create_app
from app.settings import Settings, variable
from tests.docker.exposition import exported

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
# The oldest that knows every field, and the newest that the validator has.
VERSIONS = "1.29", "1.37"


def load(name: str) -> dict[str, Any]:
    """One document."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return document


KUSTOMIZATION = load("kustomization.yaml")
MANIFESTS: dict[str, dict[str, Any]] = {name: load(name) for name in KUSTOMIZATION["resources"]}
DEPLOYMENT = MANIFESTS["deployment.yaml"]
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_it(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def _misspell(keys: str, wrong: str) -> Callable[[dict[str, Any]], None]:
    """Give the last of ``keys`` (a path with dots) the name ``wrong``."""

    def change(document: dict[str, Any]) -> None:
        *path, last = keys.split(".")
        place: Any = document
        for key in path:
            place = place[int(key)] if key.isdigit() else place[key]
        place[wrong] = place.pop(last)

    return change


MISTAKES = {
    "deployment.yaml": [
        ("spec.template.spec.enableServiceLinks", "enableServiceLink"),
        ("spec.template.spec.terminationGracePeriodSeconds", "terminationGracePeriod"),
        ("spec.template.spec.containers.0.readinessProbe", "readyProbe"),
        ("spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("spec.template.spec.containers.0.resources.limits", "limit"),
        ("spec.template.spec.containers.0.livenessProbe.httpGet.port", "ports"),
        ("spec.template.spec.volumes.0.persistentVolumeClaim.claimName", "claim"),
    ],
    "service.yaml": [("spec.ports.0.targetPort", "targetport"), ("spec.selector", "selectors")],
    "hpa.yaml": [("spec.maxReplicas", "maxReplica"), ("spec.metrics.0.pods.metric", "metrics")],
    "pdb.yaml": [("spec.maxUnavailable", "maxUnavailableReplicas")],
    "models.yaml": [("spec.accessModes", "accessMode")],
}


@pytest.mark.parametrize(
    ("name", "keys", "wrong"), [(name, *each) for name, all_of in MISTAKES.items() for each in all_of]
)
def test_a_misspelt_field_is_found(name: str, keys: str, wrong: str) -> None:
    document = copy.deepcopy(MANIFESTS[name])
    _misspell(keys, wrong)(document)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_a_wrong_type_is_found() -> None:
    document = copy.deepcopy(DEPLOYMENT)
    document["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = 10
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_models_from_an_image_as_the_document_says() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(\s+volumes:.*?)```", text, re.DOTALL)
    document = copy.deepcopy(DEPLOYMENT)
    pod = document["spec"]["template"]["spec"]
    instead = {volume["name"]: volume for volume in yaml.safe_load(block)["volumes"]}
    pod["volumes"] = [instead.pop(volume["name"], volume) for volume in pod["volumes"]]
    assert not instead, "a volume that nothing mounts"
    assert any("image" in volume for volume in pod["volumes"])
    kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_every_file_is_used() -> None:
    assert {path.name for path in FOLDER.glob("*")} == {
        *MANIFESTS, "kustomization.yaml", "prometheus-adapter.yaml",
    }  # fmt: skip
    # Kustomize's own schema is not Kubernetes': these are its words that this file uses.
    assert set(KUSTOMIZATION) == {"apiVersion", "kind", "resources", "images", "labels"}
    assert KUSTOMIZATION["images"][0]["name"] == CONTAINER["image"]
    assert [set(each) for each in KUSTOMIZATION["labels"]] == [{"pairs"}]


def test_names_and_labels_fit_together() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    for name, path in (
        ("service.yaml", "selector"),
        ("pdb.yaml", "selector"),
        ("deployment.yaml", "selector"),
    ):
        selector = MANIFESTS[name]["spec"][path]
        assert selector.get("matchLabels", selector).items() <= labels.items(), name
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in MANIFESTS["service.yaml"]["spec"]["ports"]} <= ports
    assert {
        CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    } <= ports
    target = MANIFESTS["hpa.yaml"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"])
    claims = {v["persistentVolumeClaim"]["claimName"] for v in POD["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {MANIFESTS["models.yaml"]["metadata"]["name"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == {
        volume["name"] for volume in POD["volumes"]
    }


def test_probes_and_annotations_are_paths_of_the_service() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    probes = {
        name: CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    notes = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]
    assert {*probes.values(), notes["prometheus.io/path"]} <= set(paths)
    assert notes["prometheus.io/port"] == str(CONTAINER["ports"][0]["containerPort"])
    dockerfile = (ROOT / "docker" / "service.Dockerfile").read_text(encoding="utf-8")
    assert f"ELECTRA_PORT={CONTAINER['ports'][0]['containerPort']}" in dockerfile


def test_settings_exist_and_stopping_fits_in_the_grace_period() -> None:
    known = {variable(name): name for name in Settings.names()}
    given = {known[each["name"]]: each["value"] for each in CONTAINER["env"]}
    settings = Settings(**given)
    stopping = settings.drain_delay_s + settings.shutdown_timeout_s
    assert POD["terminationGracePeriodSeconds"] > stopping
    # Readiness is seen to be false, and the endpoint taken away, while requests are still taken.
    readiness = CONTAINER["readinessProbe"]
    assert settings.drain_delay_s > readiness["periodSeconds"] * readiness["failureThreshold"]
    commented = re.findall(
        r"# - name: (ELECTRA_\w+)", (FOLDER / "deployment.yaml").read_text(encoding="utf-8")
    )
    assert commented
    assert set(commented) <= set(known)


def test_the_pod_can_do_little() -> None:
    assert POD["enableServiceLinks"] is False
    assert POD["automountServiceAccountToken"] is False
    user = POD["securityContext"]
    assert (user["runAsNonRoot"], user["runAsUser"], user["runAsGroup"]) == (True, 10001, 10001)
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    models = next(mount for mount in CONTAINER["volumeMounts"] if mount["name"] == "models")
    assert models == {"name": "models", "mountPath": "/models", "readOnly": True}
    limits = CONTAINER["resources"]["limits"]
    # A quota of a fraction computes with the whole part of it.
    assert limits["cpu"].isdigit()
    assert CONTAINER["resources"]["requests"] == limits


def test_pods_are_scaled_on_what_the_service_exports() -> None:
    pods, cpu = MANIFESTS["hpa.yaml"]["spec"]["metrics"]
    name = pods["pods"]["metric"]["name"]
    assert cpu["resource"]["name"] == "cpu"
    (rule,) = load("prometheus-adapter.yaml")["rules"]
    assert set(rule) == {"seriesQuery", "resources", "name", "metricsQuery"}
    assert rule["seriesQuery"].split("{")[0] in exported()
    assert re.sub(rule["name"]["matches"], rule["name"]["as"], rule["seriesQuery"].split("{")[0]) == name
    # A queue that is full asks for more pods long before requests are refused.
    assert int(pods["pods"]["target"]["averageValue"]) < Settings().queue_tokens / 4
