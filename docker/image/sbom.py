"""Write a CycloneDX 1.5 bill of materials of this Python environment and of Debian's packages around it.

Usage: python sbom.py FILE. Reads installed metadata only; the same packages give the same bytes.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")


def python_components() -> list[dict[str, object]]:
    """One component for each installed distribution, with the licence that it declares."""
    components = []
    for distribution in metadata.distributions():
        fields = distribution.metadata
        name, version = str(fields["Name"]), distribution.version
        component: dict[str, object] = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}",
        }
        licence = licence_of(fields)
        if licence:
            component["licenses"] = [licence]
        components.append(component)
    return components


def licence_of(fields: metadata.PackageMetadata) -> dict[str, object] | None:
    """An SPDX expression where there is one, else the name that a classifier or the old field gives."""
    if fields.get("License-Expression"):
        return {"expression": fields["License-Expression"]}
    classifiers = [text for text in fields.get_all("Classifier") or [] if text.startswith("License :: ")]
    name = classifiers[0].rpartition(" :: ")[2] if classifiers else str(fields.get("License") or "")
    # The old field often holds the whole text of the licence.
    first = name.strip().splitlines()[0] if name.strip() else ""
    return {"license": {"name": first[:120]}} if first else None


def debian_components(status: Path = DPKG_STATUS) -> list[dict[str, object]]:
    """One component for each Debian package that is installed; none where there is no dpkg."""
    if not status.is_file():
        return []
    components: list[dict[str, object]] = []
    for paragraph in status.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if ": " in line and line[0] != " "]
        fields = dict(line.split(": ", 1) for line in lines)
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        components.append(
            {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}",
            }
        )
    return components


def bill(components: list[dict[str, object]]) -> dict[str, object]:
    """The document."""
    unique = {str(component["purl"]): component for component in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "electra-service"}},
        "components": [unique[purl] for purl in sorted(unique)],
    }


if __name__ == "__main__":
    document = bill(python_components() + debian_components())
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"sbom: {len(document['components'])} components")  # type: ignore[arg-type]
