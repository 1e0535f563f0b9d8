"""The days of a release: installed, scaled, upgraded, its line changed, rolled back, taken away and back."""

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from tools.verify_deploy.cluster.api import Manifest
from tools.verify_deploy.cluster.fake_kubelets import NODES
from tools.verify_deploy.release.changes import LineChange
from tools.verify_deploy.release.chart_release import ChartRelease
from tools.verify_deploy.release.leftovers import kept_data, left_behind, objects
from tools.verify_deploy.release.workloads import (
    by_workload,
    images,
    is_rolled_out,
    rolled,
    running_on,
    spread,
)
from tools.verify_deploy.report import CheckFailed

SETTLE_SECONDS = 30.0
POLL_SECONDS = 0.1
ACCEPT = "kafka.strimzi.acceptPartitions"


class ReleaseLife:
    """Walks one release through its days; each method is one step and returns what is to be said of it.

    ``options`` are those of the values files that it is installed with.
    """

    def __init__(self, release: ChartRelease, options: Sequence[str]) -> None:
        self._release, self._options = release, list(options)
        self._kinds = release.api.resources()
        self._before = objects(release.api, self._kinds)

    def install(self) -> str:
        """Install; every pod runs, bound to a node."""
        self._release.install(self._options)
        pods = self._settled()
        return f"{len(by_workload(pods))} workloads, {len(pods)} pods"

    def scale(self, component: str) -> str:
        """Scale a component to two pods a node, as KEDA would, and see them spread evenly."""
        release, wanted = self._release, 2 * len(NODES)
        label = f"app.kubernetes.io/component={component}"
        where = ("-n", release.namespace)
        release.programs.kubectl("scale", "deployment", "-l", label, f"--replicas={wanted}", *where)
        release.programs.kubectl("rollout", "status", "deployment", "-l", label, "--timeout=60s", *where)
        found = spread(self._pods_of(component))
        if sum(found.values()) != wanted or set(found.values()) != {2}:
            raise CheckFailed(f"{component}: not spread evenly over {len(NODES)} nodes: {dict(found)}")
        return f"{component}: " + ", ".join(f"{found[node]} on {node}" for node in sorted(found))

    def upgrade(self, component: str, newer: Path) -> str:
        """Take newer images: what runs them is replaced, nothing else; what was scaled stays scaled."""
        before, wanted = self._settled(), len(self._pods_of(component))
        self._release.upgrade([*self._options, "-f", str(newer)])
        after = self._settled()
        old, new = images(before), images(after)
        _hold(rolled(before, after), {name for name in new if new[name] != old.get(name)})
        if len(self._pods_of(component)) != wanted:
            raise CheckFailed(f"{component}: the upgrade took the number of pods back that a scaler had set")
        return f"{', '.join(sorted(rolled(before, after)))} replaced, {component} stays at {wanted}"

    def change_line(self, change: LineChange, line: Path, newer: Path) -> str:
        """Change the line file: what reads the change is replaced, and nothing else."""
        before = self._settled()
        self._release.upgrade([*self._options, "-f", str(newer), "--set-file", f"line.file={line}"])
        replaced = rolled(before, self._settled())
        _hold(replaced, {self._release.workload(name) for name in change.readers})
        others = len(by_workload(before)) - len(replaced)
        return f"{', '.join(sorted(replaced))} replaced, {others} others not"

    def refuse_partitions(self, line: Path) -> str:
        """Ask for more partitions on a topic that is there: the chart refuses, with the way to do it."""
        try:
            self._release.upgrade([*self._options, "--set-file", f"line.file={line}"])
        except CheckFailed as error:
            said = " ".join(error.shown)
            if ACCEPT not in said:
                raise
            return f"until {ACCEPT} says so"
        raise CheckFailed("more partitions were taken although they move cameras to others")

    def rollback(self) -> str:
        """Go back to the first revision: its images are back."""
        newer = images(self._settled())
        self._release.rollback(1)
        found = images(self._settled())
        back = sorted(name for name in found if found[name] != newer.get(name))
        if not back:
            raise CheckFailed("the newer images are still there after the rollback")
        return f"{', '.join(back)} as at first"

    def uninstall(self) -> str:
        """Take the release away: what holds data is kept, and only that."""
        release = self._release
        kept = kept_data(release.api, release.manifests(), release.namespace)
        release.uninstall()
        left = self._wait_until_left(kept)
        return f"kept: {', '.join(sorted({one.split(' ')[0] for one in left}))}"

    def install_again(self) -> str:
        """Install on the data that was kept."""
        self._release.install([*self._options, "--set", "keepData=false"])
        return f"{len(self._settled())} pods on the data that was kept"

    def remove(self) -> str:
        """Take everything away: nothing is left, of any kind, in any namespace."""
        self._release.uninstall()
        self._wait_until_left(())
        return "nothing is left, of any kind"

    def _wait_until_left(self, expected: Collection[str]) -> list[str]:
        """Return what is left once it is what is expected; raises CheckFailed with the difference."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            left = left_behind(self._before, objects(self._release.api, self._kinds))
            if set(left) == set(expected):
                return left
            if time.monotonic() > end:
                more, less = set(left) - set(expected), set(expected) - set(left)
                shown = [*(f"left: {one}" for one in more), *(f"gone: {one}" for one in less)]
                raise CheckFailed("the release did not leave what it should", *sorted(shown))
            time.sleep(POLL_SECONDS)

    def _settled(self) -> list[Manifest]:
        """Return the pods once all workloads are rolled out and all claims bound.

        Each pod is then bound to a node and ready, and none is on its way out.
        """
        release, end = self._release, time.monotonic() + SETTLE_SECONDS
        while True:
            workloads, claims, there = release.workloads(), release.claims(), release.all_pods()
            pods = running_on(there)
            late = [
                *(_story(pod) for pod in pods if not _is_ready(pod)),
                *(_story(pod) for pod in there if _is_leaving(pod)),
                *(f"{_named(one)}: {one['status']}" for one in workloads if not is_rolled_out(one)),
                *(f"{_named(one)}: {one['status']}" for one in claims if one["status"]["phase"] != "Bound"),
            ]
            if not late:
                return pods
            if time.monotonic() > end:
                raise CheckFailed("the release does not settle", *late)
            time.sleep(POLL_SECONDS)

    def _pods_of(self, component: str) -> list[Manifest]:
        label = "app.kubernetes.io/component"
        return [pod for pod in self._release.pods() if pod["metadata"]["labels"].get(label) == component]


def _hold(replaced: Collection[str], expected: Collection[str]) -> None:
    if not expected or set(replaced) != set(expected):
        raise CheckFailed(f"replaced: {sorted(replaced)}; to be replaced: {sorted(expected)}")


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _named(found: Manifest) -> str:
    return str(found["metadata"]["name"])


def _is_leaving(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _story(pod: Manifest) -> str:
    """Return why a pod is where it is, in one line."""
    words = [one.get("message", "") for one in pod["status"].get("conditions", [])]
    return f"{pod['metadata']['name']}: {pod['status'].get('phase')} {' '.join(filter(None, words))}"
