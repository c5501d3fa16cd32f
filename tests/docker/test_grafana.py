"""The dashboard asks for what the service exports, from the data source that is provisioned."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.exposition import asked, exported, unknown
from tests.docker.test_prometheus import RECORDED

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboards" / "electra.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / "provisioning" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"].replace(" ", "-"))
def test_a_panel_asks_for_what_is_exported(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert panel["targets"]
    for target in panel["targets"]:
        assert unknown(target["expr"], RECORDED) == []
        # Nothing but Grafana's own interval is filled in: what is written here is what is asked.
        assert set(re.findall(r"\$\w+", target["expr"])) <= {"$__rate_interval"}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= {
            "route", "status", "instance", "reason", "phase", "model", "outcome", "le",
        }  # fmt: skip


def test_every_metric_of_the_service_is_shown() -> None:
    shown = {name for panel in PANELS for target in panel["targets"] for name in asked(target["expr"])}
    ours = {name for name in exported() if name.startswith("electra_")}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours} <= families


def test_panels_lie_beside_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_the_data_source_is_the_one_that_panels_name() -> None:
    (source,) = load("datasources/prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    asked_of = [DASHBOARD["annotations"]["list"][1]["datasource"], *(panel["datasource"] for panel in PANELS)]
    asked_of += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    assert {reference["uid"] for reference in asked_of} == {source["uid"]}
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    scrape = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]


def test_grafana_finds_its_files_where_compose_mounts_them() -> None:
    grafana = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in grafana["volumes"]}
    (provider,) = load("dashboards/electra.yaml")["providers"]
    assert ROOT / mounts[provider["options"]["path"]] == FOLDER / "dashboards"
    assert ROOT / mounts["/etc/grafana/provisioning"] == FOLDER / "provisioning"
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounts[str(home.parent)] / home.name).is_file()
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"]
