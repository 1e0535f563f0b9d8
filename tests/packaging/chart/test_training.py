"""Trainings as Jobs: a template that the trainer takes, rights for nothing else, GPUs only while they run."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from tests.support.chart import ChartPod, RenderedChart, chart_of
from tests.support.job_templates import a_training_order
from tools.chart.schemas import schema_problems
from trainer.cluster.job_template import read_template

COMPONENT = "app.kubernetes.io/component"
ON = "trainer.jobs.enabled=true"
SHARED = 'trainer.jobs={"enabled":true,"pods":2,"gpu":{"enabled":true,"count":4}}'
ANYWHERE = 'trainer.work.accessModes=["ReadWriteMany"]'


def the_training(chart: RenderedChart) -> ChartPod:
    """Return the pod of a training."""
    (found,) = (pod for pod in chart.pods() if pod.component == "training")
    return found


def the_trainer(chart: RenderedChart) -> ChartPod:
    """Return the pod of the trainer."""
    (found,) = chart.workloads("trainer")
    return found


@pytest.mark.parametrize("more", [(ON,), (SHARED,), (ON, ANYWHERE)])
def test_the_trainer_takes_the_template_and_kubernetes_knows_the_job(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    chart = chart_of("plant", *more)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(chart.trainings()[0]))
    template = read_template(tmp_path / "job.yaml")
    job = template.job_of(a_training_order(), timedelta(hours=1))
    assert list(schema_problems([job])) == []
    environment = the_trainer(chart).environment
    assert environment["TRAINER_LAUNCHER"] == "kubernetes"
    assert environment["TRAINER_JOB_TEMPLATE"] in set(the_trainer(chart).files())
    assert environment["TRAINER_POD"] == "metadata.name"


def test_without_jobs_there_is_nothing_of_them() -> None:
    chart = chart_of("plant")
    assert chart.trainings() == []
    assert "TRAINER_LAUNCHER" not in the_trainer(chart).environment
    assert not {name for found in chart.objects if "training" in (name := found["metadata"]["name"])} - {
        "rel-steadyline-training"
    }
    assert set(chart.of_kind("PriorityClass")) == {"rel-steadyline-line", "rel-steadyline-training"}


def test_a_training_holds_the_gpu_and_the_trainer_holds_none() -> None:
    chart = chart_of("gpu")
    assert the_training(chart).container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in str(the_trainer(chart).spec)


def test_several_gpus_share_a_training_through_torchrun_and_find_the_first_pod_by_its_name() -> None:
    chart = chart_of("plant", SHARED)
    pod, job = the_training(chart), chart.trainings()[0]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (2, 2)
    assert job["spec"]["completionMode"] == "Indexed"
    words = pod.container["args"]
    assert {"torchrun", "--nnodes=2", "--nproc-per-node=4"} <= set(words)
    assert {"--node-rank=$(JOB_COMPLETION_INDEX)", "--master-addr=$(TRAINING_MASTER)"} <= set(words)
    service = chart.of_kind("Service")[pod.spec["subdomain"]]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"].items() <= pod.template["metadata"]["labels"].items()
    assert "torchrun" not in the_training(chart_of("plant", ON)).container["args"]


@pytest.mark.parametrize("minutes", [0.5, 60, 10080])
def test_pods_wait_for_each_other_for_longer_than_the_trainer_waits_for_them(minutes: float) -> None:
    """torchrun's own patience is ten minutes: a node that takes longer to come would count as a death."""
    jobs = f'trainer.jobs={{"enabled":true,"pods":2,"startMinutes":{minutes}}}'
    words = the_training(chart_of("plant", jobs)).container["args"]
    (patience,) = (word for word in words if word.startswith("--rdzv-conf=timeout="))
    assert int(patience.rpartition("=")[2]) > 60 * minutes


def test_a_disk_of_one_node_keeps_a_training_there_and_a_shared_one_does_not() -> None:
    bound, free = the_training(chart_of("plant", ON)), the_training(chart_of("plant", ON, ANYWHERE))
    (term,) = bound.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    trainer = the_trainer(chart_of("plant", ON))
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"].items() <= trainer.template["metadata"]["labels"].items()
    (back,) = trainer.spec["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert back["podAffinityTerm"]["labelSelector"]["matchLabels"][COMPONENT] == "training"
    assert "affinity" not in free.spec


def test_a_training_has_the_folder_of_its_product_and_no_door_to_kafka_or_triton() -> None:
    pod = the_training(chart_of("plant", ON))
    (work,) = (mount for mount in pod.container["volumeMounts"] if mount["name"] == "work")
    assert work["subPathExpr"] == "$(TRAINING_PRODUCT)"
    assert not [name for name in pod.environment if name.startswith(("KAFKA_", "TRITON_"))]
    assert not [path for path in pod.files() if "kafka" in path or "triton" in path]


def test_the_trainer_may_make_jobs_and_see_their_pods_and_nothing_else() -> None:
    chart = chart_of("plant", ON)
    (role,) = chart.of_kind("Role").values()
    assert role["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    ]
    (binding,) = chart.of_kind("RoleBinding").values()
    account = the_trainer(chart).spec["serviceAccountName"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "line"}]
    asks = {pod.component for pod in chart.pods() if pod.spec["automountServiceAccountToken"]}
    assert asks == {"trainer"}


def test_pods_of_a_training_reach_each_other_redis_and_the_store_and_the_trainer_the_api_server() -> None:
    found = {
        policy["spec"]["podSelector"]["matchLabels"].get(COMPONENT): policy["spec"]
        for policy in chart_of("trial", ON).of_kind("NetworkPolicy").values()
    }
    training = found["training"]
    (among,) = training["ingress"]
    assert [peer["podSelector"]["matchLabels"][COMPONENT] for peer in among["from"]] == ["training"]
    assert {port["port"] for rule in training["egress"] for port in rule.get("ports", ())} == {53, 6379}
    assert {443, 6443} <= {port["port"] for rule in found["trainer"]["egress"] for port in rule["ports"]}
    callers = [peer for rule in found["redis"]["ingress"] for peer in rule["from"]]
    assert "training" in {peer["podSelector"]["matchLabels"][COMPONENT] for peer in callers}
