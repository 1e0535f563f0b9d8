"""What docs/kubernetes.md prints can be done: its values render, its lists are those of the chart."""

import re
from pathlib import Path
from typing import Any

import yaml

from steadyline.signing import write_pair
from tests.support.chart import SETS, chart_of, require_helm
from tools.chart.files import CHART
from tools.chart.helm import render
from tools.images.services import IMAGES
from tools.setup.command import ROOT

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")


def values_on_the_page(begin: str) -> Any:
    """Return the block of YAML on the page that begins with a word."""
    (block,) = (text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if text.startswith(begin))
    return yaml.safe_load(block)


def rendered(folder: Path, values: Any, *before: Path) -> list[dict[str, Any]]:
    require_helm()
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return render([*before, path])


def test_the_digests_of_the_page_are_all_that_a_trial_needs(tmp_path: Path) -> None:
    values = values_on_the_page("images:")
    objects = rendered(tmp_path, values, *SETS["trial"])
    text = yaml.safe_dump_all(objects)
    assert "0" * 64 not in text
    used = set(re.findall(r"registry\.plant\.example/steadyline/([a-z-]+)@", text))
    built = {*IMAGES, "triton-cpu"}
    assert used == {*built, "redis", "postgres"}
    pushed = re.search(r"for NAME in (producers .*?);", PAGE)
    assert pushed is not None
    assert set(pushed[1].split()) == built


def test_a_plant_without_strimzi_renders_with_the_values_of_the_page(tmp_path: Path) -> None:
    objects = rendered(tmp_path, values_on_the_page("kafka:"), *SETS["plant"])
    assert not [found for found in objects if found["apiVersion"].startswith("kafka.strimzi.io/")]
    taken = {
        volume["secret"]["secretName"]
        for found in objects
        if found["kind"] in ("Deployment", "StatefulSet", "Job")
        for volume in found["spec"]["template"]["spec"]["volumes"]
        if volume["name"].startswith("kafka")
    }
    made = {f"cells-1-{service}" for service in (*IMAGES,)}
    assert taken == {*made, "kafka-ca"}


def test_the_page_lists_what_a_plant_must_have_before_it_is_installed() -> None:
    listed = set(
        re.findall(r"`([a-z0-9-]+)`", PAGE[PAGE.index("### A plant") : PAGE.index("### A second line")])
    )
    made = {"cells-1-alerts-tls", "plant-cluster-ca-cert", *chart_of("plant").of_kind("KafkaUser")}
    volumes = [volume for pod in chart_of("plant").pods() for volume in pod.spec["volumes"]]
    wanted = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    own = chart_of("plant").of_kind("PersistentVolumeClaim").keys()
    claims = {
        found["persistentVolumeClaim"]["claimName"] for found in volumes if "persistentVolumeClaim" in found
    }
    assert (wanted - made) | (claims - own) <= listed


def test_the_files_of_the_page_are_there(tmp_path: Path) -> None:
    for path in set(re.findall(r"-f (deploy/[a-z/.-]+)", PAGE)):
        assert (ROOT / path).exists(), path
    write_pair(tmp_path)
    assert set(re.findall(r"--from-file=keys/([a-z.]+)", PAGE)) == {path.name for path in tmp_path.iterdir()}


def test_the_page_names_every_values_file() -> None:
    assert {path.name for path in (ROOT / CHART).glob("values*.yaml")} <= set(
        re.findall(r"`(values[a-z-]*\.yaml)`", PAGE)
    )
