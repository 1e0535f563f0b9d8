"""Trainings as Jobs: made, followed, found again and deleted by the trainer's own code and token."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from steadyline.line import GateSection
from tools.verify_deploy.accounts.rights import check_tokens
from tools.verify_deploy.accounts.trainer_account import LONG, TrainerAccount, trainer_account
from tools.verify_deploy.cluster.api import Manifest
from tools.verify_deploy.cluster.fake_kubelets import TrainingFate
from tools.verify_deploy.release.chart_release import ChartRelease
from tools.verify_deploy.report import CheckFailed
from trainer.cluster.client import ClusterRefused
from trainer.control.launch import RunningTraining, TrainingEnd
from trainer.control.training_supervisor import NOT_STARTED, REFUSED
from trainer.jobs.spec import JobSpec

SETTLE_SECONDS, POLL_SECONDS = 90.0, 0.1
SHORT = timedelta(seconds=1)  # the patience of a trainer that is known to wait in vain
UNPINNED = "registry.example/trainer:latest"


@dataclass(frozen=True, slots=True)
class ExpectedEnd:
    """What the trainer is to tell of one training: the reason, and words of the explanation."""

    words: str
    reason: str | None = None
    is_success: bool = False

    def is_met(self, end: TrainingEnd) -> bool:
        """Tell whether an end is the expected one."""
        return (end.reason, end.is_success) == (self.reason, self.is_success) and self.words in end.how


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """A training that ends by itself; of one that never begins, what the cluster shows of it meanwhile."""

    account: TrainerAccount
    fate: TrainingFate
    end: ExpectedEnd
    shown: str = ""


def check_trainings(release: ChartRelease, kubeconfig: Path, home: Path) -> str:
    """Take Jobs through their days as the trainer's account; one is left running, for the release to take."""
    account = trainer_account(release, kubeconfig, home)
    jobs = TrainingJobs(release, account, home)
    told = jobs.check_ends()
    jobs.check_other_namespaces()
    jobs.check_restart()
    jobs.check_deletions()
    return f"{told} ends told apart; a Job that runs is gone on with, deleted with its pods; one runs on"


class TrainingJobs:
    """The Jobs of one release; each method is one thing that the trainer relies on."""

    def __init__(self, release: ChartRelease, account: TrainerAccount, home: Path) -> None:
        self._release, self._account, self._home = release, account, home
        self._path = f"/apis/batch/v1/namespaces/{release.namespace}/jobs"
        self._order = training_order(TrainingFate.RUNS)
        self._name = account.template.name_of(self._order)

    def check_ends(self) -> int:
        """See how trainings end, all at once: by themselves, never begun, and not taken at all."""
        cases = self._cases()
        started = {
            name: case.account.launcher().start(training_order(case.fate), self._home, LONG)
            for name, case in cases.items()
        }
        for name, case in cases.items():
            started[name].poll()  # which makes its Job
            if case.shown:
                started[name] = self._watched_in_vain(started[name], case)
        ends = _ends(started)
        wrong = [f"{name}: {ends[name]}" for name, case in cases.items() if not case.end.is_met(ends[name])]
        if wrong:
            raise CheckFailed("trainings end, and the trainer tells it wrongly", *wrong)
        return len(ends)

    def _cases(self) -> Mapping[str, TrainingCase]:
        account, fate = self._account, TrainingFate
        unpinned, privileged = account.changed(_unpinned), account.changed(_privileged)
        pull, refused_pod = "ImagePullBackOff", "FailedCreate"
        return {
            "ends well": TrainingCase(account, fate.ENDS, ExpectedEnd("exit status 0", is_success=True)),
            "is killed": TrainingCase(
                account, fate.OUT_OF_MEMORY, ExpectedEnd("OOMKilled (exit status 137)")
            ),
            "has no image": TrainingCase(account, fate.NO_IMAGE, ExpectedEnd(pull, NOT_STARTED), pull),
            "is not pinned": TrainingCase(
                unpinned, fate.UNPINNED, ExpectedEnd("not pinned by digest", REFUSED)
            ),
            "is privileged": TrainingCase(
                privileged, fate.PRIVILEGED, ExpectedEnd(refused_pod, NOT_STARTED), "violates PodSecurity"
            ),
        }

    def _watched_in_vain(self, first: RunningTraining, case: TrainingCase) -> RunningTraining:
        """Wait until the cluster shows why a training does not begin; a hasty trainer goes on with it."""
        self._until_shown(first.name, case.shown)
        first.leave()
        return case.account.launcher(SHORT).start(training_order(case.fate), self._home, LONG)

    def _until_shown(self, job: str, words: str) -> None:
        """Wait for words in the events of a Job, which has those of Pod Security, or in its pods."""
        events = f"/api/v1/namespaces/{self._release.namespace}/events"

        def is_shown() -> bool:
            told = [one for one in self._release.api.items(events) if one["involvedObject"]["name"] == job]
            return words in json.dumps([*told, *(pod["status"] for pod in self._pods_of(job))])

        _until(is_shown, f"{words} of {job}")

    def check_other_namespaces(self) -> None:
        """See that the account sees Jobs in its own namespace only."""
        try:
            self._account.cluster("default").jobs("a=b")
        except ClusterRefused:
            return
        raise CheckFailed("the trainer may see Jobs of another namespace")

    def check_restart(self) -> None:
        """See that a trainer that starts again goes on with the Job that runs."""
        first = self._begun()
        before = self._release.api.call("GET", f"{self._path}/{self._name}")
        self._check_pods()
        first.leave()
        second = self._begun()
        after = self._release.api.call("GET", f"{self._path}/{self._name}")
        if before["metadata"]["uid"] != after["metadata"]["uid"]:
            raise CheckFailed("a Job that ran was made anew by the next trainer")
        owners = [one["kind"] for one in after["metadata"].get("ownerReferences", ())]
        if owners != ["ReplicaSet"]:
            raise CheckFailed(f"a Job is to go with its release, and is owned by {owners}")
        second.stop()
        self._wait_until_gone()

    def check_deletions(self) -> None:
        """See that a Job without an order is deleted, and leave one running for the release to take along."""
        self._begun()
        self._account.launcher().clear(self._order.product)
        self._wait_until_gone()
        self._begun()

    def _begun(self) -> RunningTraining:
        """Start the order's training, or go on with it, and return it once its pod runs."""
        training = self._account.launcher().start(self._order, self._home, LONG)

        def runs() -> bool:
            end = training.poll()
            if end is not None:
                raise CheckFailed(f"a training that runs is told as ended: {end}")
            return any(pod["status"].get("phase") == "Running" for pod in self._pods())

        _until(runs, "a Job whose pod runs")
        return training

    def _check_pods(self) -> None:
        """See that the pods of a training have no token, and an account of their own."""
        pods = self._pods()
        check_tokens(pods, self._release.workload("trainer"))
        accounts = {pod["spec"]["serviceAccountName"] for pod in pods}
        if accounts != {self._release.workload("training")}:
            raise CheckFailed(f"trainings run as {sorted(accounts)}")

    def _wait_until_gone(self) -> None:
        def is_gone() -> bool:
            names = [one["metadata"]["name"] for one in self._release.api.items(self._path)]
            return self._name not in names and not self._pods()

        _until(is_gone, "a deleted Job that is gone with its pods")

    def _pods(self) -> list[Manifest]:
        """Return the pods of the order's Job."""
        return self._pods_of(self._name)

    def _pods_of(self, job: str) -> list[Manifest]:
        return [
            pod
            for pod in self._release.all_pods()
            if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
        ]


def training_order(fate: TrainingFate) -> JobSpec:
    """Return an order whose product tells the made-up kubelets what becomes of it."""
    return JobSpec(
        product=fate.value, version=1, why="verify", detector="robust", profile="cpu", steps=None,
        seed=0, size=64, channels="gray", false_alarm_rate=0.01, gate=GateSection(),
        snapshot_uri="memory://x", snapshot_digest="0" * 64, live=None,
        ordered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def _unpinned(pod: Manifest) -> None:
    pod["containers"][0]["image"] = UNPINNED


def _privileged(pod: Manifest) -> None:
    pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True


def _ends(started: Mapping[str, RunningTraining]) -> Mapping[str, TrainingEnd]:
    """Return how each training has ended, once all have; what is given up is deleted, as the trainer does."""
    ends: dict[str, TrainingEnd] = {}

    def have_ended() -> bool:
        for name, training in started.items():
            end = None if name in ends else training.poll()
            if end is not None:
                ends[name] = end
                if end.reason is not None:  # given up
                    training.stop()
        return len(ends) == len(started)

    _until(have_ended, "the ends of all trainings")
    return ends


def _until(check: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SETTLE_SECONDS
    while not check():
        if time.monotonic() > end:
            raise CheckFailed(f"not seen in {SETTLE_SECONDS:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
