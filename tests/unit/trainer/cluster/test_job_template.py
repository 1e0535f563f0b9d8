"""The Job of a training: what the template gives, and what the order adds."""

from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from steadyline.errors import InvalidConfiguration
from tests.support.job_templates import a_manifest, a_template, a_training_order
from trainer.cluster.job_template import product_label, read_template

HOUR = timedelta(hours=1)


def test_the_same_order_has_the_same_name_and_another_order_another(tmp_path: Path) -> None:
    template = a_template(tmp_path)
    name = template.name_of(a_training_order())
    assert name == template.name_of(a_training_order())
    assert name != template.name_of(a_training_order(version=2))
    assert name.startswith("line-1-training-")


def test_a_long_name_leaves_room_for_the_number_of_a_pod(tmp_path: Path) -> None:
    manifest = a_manifest()
    manifest["metadata"]["name"] = "n" * 60
    assert len(a_template(tmp_path, manifest).name_of(a_training_order()) + "-1000") <= 63


def test_an_order_adds_its_names_its_deadline_and_nothing_else(tmp_path: Path) -> None:
    template, order = a_template(tmp_path), a_training_order()
    job = template.job_of(order, HOUR)
    name = template.name_of(order)
    wanted = a_manifest()
    wanted["metadata"]["name"] = name
    wanted["metadata"]["labels"]["steadyline/product"] = "cell"
    wanted["metadata"]["annotations"] = {
        "steadyline/order": order.full_digest(),
        "steadyline/product-name": "cell",
        "steadyline/version": "1",
    }
    wanted["spec"]["activeDeadlineSeconds"] = 3600
    pod = wanted["spec"]["template"]
    pod["metadata"]["labels"]["steadyline/product"] = "cell"
    pod["spec"]["containers"][0]["env"] = [
        {"name": "TRAINING_PRODUCT", "value": "cell"},
        {"name": "TRAINING_MASTER", "value": f"{name}-0.line-1-training"},
    ]
    assert job == wanted
    assert template.manifest == a_manifest(), "the template is as it was"


def test_a_product_with_a_long_name_has_a_label_too(tmp_path: Path) -> None:
    long = "p" * 64
    assert len(product_label(long)) <= 63
    assert product_label("cell") == "cell"
    job = a_template(tmp_path).job_of(a_training_order(long), HOUR)
    assert job["metadata"]["annotations"]["steadyline/product-name"] == long


def test_jobs_of_a_product_are_found_by_release_and_product(tmp_path: Path) -> None:
    assert a_template(tmp_path).selector("cell") == (
        "app.kubernetes.io/component=training,app.kubernetes.io/instance=line-1,steadyline/product=cell"
    )


def test_a_template_that_cannot_be_used_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    broken: dict[str, dict[str, Any]] = {
        "holds no Job": {"kind": "CronJob"},
        "metadata.namespace": {"metadata": {"name": "x"}},
        "exactly one container": {"spec": {"backoffLimit": 0, "template": {"spec": {"containers": []}}}},
        "backoffLimit: 0": {"spec": {**deepcopy(a_manifest()["spec"]), "backoffLimit": 3}},
    }
    for words, change in broken.items():
        with pytest.raises(InvalidConfiguration, match=words):
            a_template(tmp_path, {**a_manifest(), **change})
    for text in (b"\xff", b"[", b""):
        (tmp_path / "job.yaml").write_bytes(text)
        with pytest.raises(InvalidConfiguration, match="TRAINER_JOB_TEMPLATE"):
            read_template(tmp_path / "job.yaml")
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_template(tmp_path / "none.yaml")
