"""A change rolls the pods that read what was changed, and no others."""

import json
from collections.abc import Mapping

import pytest
import yaml

from tests.support.chart import chart_of

BEFORE = {
    "line": "cells-1",
    "topics": {"prefix": "cells-1", "partitions": 12},
    "store": "s3://plant-7/cells-1",
    "products": {
        "cell": {"picture": {"size": 64}, "evidence_sample": 0.02, "normals": "/normals"},
        "glass": {"picture": {"size": 96}},
    },
    "cameras": [
        {"id": "east-1", "product": "cell", "source": "rtsp://10.0.0.1/a"},
        {"id": "west-1", "product": "glass", "source": "rtsp://10.0.0.2/a"},
    ],
    "alerts": {"lag": {"frames": 500}},
}
GROUPS = 'producers.groups=[{"name":"east","cameras":["east-1"]},{"name":"west","cameras":["west-1"]}]'
EAST, WEST, SCORER, TRAINER, ALERTS = "producers-east", "producers-west", "scorer", "trainer", "alerts"
EVERYBODY = {EAST, WEST, SCORER, TRAINER, ALERTS}


def templates(*values: str, line: Mapping[str, object] = BEFORE) -> dict[str, str]:
    """Return workload → the template of its pods, as text; Kubernetes rolls what differs."""
    text = json.dumps(yaml.safe_dump(dict(line)))
    pods = chart_of("defaults", f"line.file={text}", GROUPS, *values).pods()
    return {
        pod.owner["metadata"]["name"].removeprefix("rel-steadyline-"): json.dumps(
            pod.template, sort_keys=True
        )
        for pod in pods
        if pod.owner["kind"] in ("Deployment", "StatefulSet")
    }


def rolled(after: dict[str, str], before: dict[str, str]) -> set[str]:
    """Return the workloads whose pods are made anew."""
    assert after.keys() == before.keys()
    return {name for name in after if after[name] != before[name]}


def changed(path: str, value: object) -> dict[str, object]:
    """Return the line with one thing changed; a path is words and numbers with dots between them."""
    line = json.loads(json.dumps(BEFORE))
    *way, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    place = line
    for word in way:
        place = place[word]
    place[last] = value
    return dict(line)


@pytest.mark.parametrize(
    ("path", "value", "who"),
    [
        ("alerts.lag.frames", 600, {ALERTS}),
        ("products.cell.alerts", {"at_once": 3}, {ALERTS}),
        ("cameras.0.source", "rtsp://10.0.0.9/a", {EAST, ALERTS}),
        ("products.cell.evidence_sample", 0.05, {SCORER, TRAINER, ALERTS}),
        ("products.cell.retrain", {"every": "24h"}, {TRAINER, ALERTS}),
        ("products.glass.picture.size", 128, {WEST, SCORER, TRAINER, ALERTS}),
        ("store", "s3://plant-7/other", {SCORER, TRAINER, ALERTS}),
        ("topics.partitions", 16, EVERYBODY),
    ],
)
def test_a_change_of_the_line_rolls_its_readers_only(path: str, value: object, who: set[str]) -> None:
    assert rolled(templates(line=changed(path, value)), templates()) == who


def test_the_same_line_written_otherwise_rolls_nobody() -> None:
    text = json.dumps(f"# another comment\n{json.dumps(BEFORE)}\n")
    pods = chart_of("defaults", f"line.file={text}", GROUPS).pods()
    after = {
        pod.owner["metadata"]["name"].removeprefix("rel-steadyline-"): json.dumps(
            pod.template, sort_keys=True
        )
        for pod in pods
        if pod.owner["kind"] in ("Deployment", "StatefulSet")
    }
    assert rolled(after, templates()) == set()


def test_a_new_image_rolls_its_own_service_only() -> None:
    digest = "sha256:" + "1" * 64
    assert rolled(templates(f'images.scorer.digest="{digest}"'), templates()) == {SCORER}


def test_every_pod_has_the_whole_line() -> None:
    chart = chart_of("plant")
    for pod in chart.pods():
        if "STEADYLINE_LINE" in pod.environment:
            assert pod.environment["STEADYLINE_LINE"] in set(pod.files())
            (name,) = (v["configMap"]["name"] for v in pod.spec["volumes"] if v["name"] == "line")
            assert name in chart.of_kind("ConfigMap")
