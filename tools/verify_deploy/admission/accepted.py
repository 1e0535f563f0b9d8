"""What the API server takes: definitions, a namespace with rules, and every values file of the chart."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import yaml

from tools.deploy_schemas.custom import definitions
from tools.setup.command import ROOT
from tools.verify_deploy.cluster.api import ClusterApi, Manifest
from tools.verify_deploy.release.chart_release import ChartRelease, manifests_of
from tools.verify_deploy.report import CheckFailed

DEFINITIONS = ROOT / "deploy" / "verify" / "crds"
POLICY = ROOT / "deploy" / "verify" / "policy.yaml"
BEFOREHAND = ROOT / "deploy" / "verify" / "beforehand.yaml"
_KIND = "CustomResourceDefinition"
_PATIENCE_SECONDS = 30.0
_REFERRED_TO = ("ServiceAccount", "PriorityClass")
_RULES = "pod-security.kubernetes.io"


def apply_definitions(api: ClusterApi) -> str:
    """Create every definition and wait until its kind is served; raises CheckFailed."""
    paths = sorted(DEFINITIONS.rglob("*.yaml"))
    waiting = [api.create(definition)["metadata"]["name"] for definition in definitions(paths)]
    place = api.resource("apiextensions.k8s.io/v1", _KIND).path()
    end = time.monotonic() + _PATIENCE_SECONDS
    while waiting := [name for name in waiting if not _is_established(api.call("GET", f"{place}/{name}"))]:
        if time.monotonic() > end:
            raise CheckFailed("definitions are not served", *waiting)
        time.sleep(0.1)
    operators = sorted({path.parent.name for path in paths})
    return f"{len(paths)} definitions of {', '.join(operators)}"


def make_namespace(api: ClusterApi, name: str) -> str:
    """Make a namespace of Pod Security ``restricted``, in which images are pinned, as a plant has it."""
    labels = {
        f"{_RULES}/enforce": "restricted",
        f"{_RULES}/warn": "restricted",
        "steadyline/images": "pinned",
    }
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    for manifest in yaml.safe_load_all(BEFOREHAND.read_text(encoding="utf-8")):
        api.create(manifest, name)
    end = time.monotonic() + _PATIENCE_SECONDS
    while not _is_furnished(api, name):
        if time.monotonic() > end:
            raise CheckFailed(f"the controllers do not furnish the namespace {name}")
        time.sleep(0.1)
    return "Pod Security restricted: enforced, and warned of"


def _is_furnished(api: ClusterApi, namespace: str) -> bool:
    """Tell whether the controllers have put in what every namespace has, and the claims are bound."""
    place = f"/api/v1/namespaces/{namespace}"
    claims = api.items(f"{place}/persistentvolumeclaims")
    furniture = (*api.items(f"{place}/serviceaccounts"), *api.items(f"{place}/configmaps"))
    names = {one["metadata"]["name"] for one in furniture}
    is_bound = all(claim["status"].get("phase") == "Bound" for claim in claims)
    return is_bound and {"default", "kube-root-ca.crt"} <= names


def apply_policy(api: ClusterApi) -> str:
    """Create the policy that images are pinned by digest."""
    for manifest in yaml.safe_load_all(POLICY.read_text(encoding="utf-8")):
        api.create(manifest)
    return POLICY.name


def check_values_file(release: ChartRelease, options: Sequence[str]) -> list[Manifest]:
    """Let the server take what a values file renders, strictly, a warning being an error; nothing is kept."""
    text = release.render(options)
    manifests = manifests_of(text)
    strict = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors")
    with _referred_to(release, manifests):
        release.programs.kubectl("apply", *strict, "-n", release.namespace, "-f", "-", stdin=text)
    return manifests


@contextmanager
def _referred_to(release: ChartRelease, manifests: Sequence[Manifest]) -> Iterator[None]:
    """Have in the cluster, during a block, what a pod is refused without."""
    api, made = release.api, []
    for manifest in manifests:
        if manifest["kind"] in _REFERRED_TO:
            api.create(manifest, release.namespace)
            path = api.resource(manifest["apiVersion"], manifest["kind"]).path(release.namespace)
            made.append(f"{path}/{manifest['metadata']['name']}")
    yield
    for path in made:
        api.call("DELETE", path)


def _is_established(definition: Manifest) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
