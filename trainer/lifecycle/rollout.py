"""Take a trained candidate into service, and back out: every outcome is an event with its reason."""

from steadyline.clock import Clock
from steadyline.contracts.model_event import Model, Package
from steadyline.errors import PackageRejected, Transient, UnsignedPackage, WrongPackageSignature
from steadyline.line import GateSection
from steadyline.package import MODEL, NO_LICENCE, Packages
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.jobs.spec import Figures, JobFailure, JobResult
from trainer.lifecycle import transitions
from trainer.lifecycle.gate import DAILY_LIMIT, GateFigures, GateHistory, best_figures, rule
from trainer.lifecycle.labelled_gate import with_labels
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import InService, Promoter, PromotionFailed
from trainer.lifecycle.transitions import Step

log = get_logger(__name__)

# A version that only could not be served, came too soon, or lacks what a person can add, may be promoted by
# command; one that the gate found worse may not.
UNKNOWN_LICENCE = "unknown_licence"
TECHNICAL = (
    *(DAILY_LIMIT, "load_failed", "load_timeout", "wrong_answer", "no_answer"),
    *(UNKNOWN_LICENCE, UnsignedPackage.reason, WrongPackageSignature.reason),
)


class LiveModelLost(Transient):
    """Triton lost the live version and no intact copy is left, so another version must be put in service."""

    reason = "live_model_lost"


class Rollout:
    """Decides on the candidates of one product and puts versions in service."""

    def __init__(
        self,
        state: ProductState,
        limits: GateSection,
        packages: Packages,
        promoter: Promoter,
        clock: Clock,
    ) -> None:
        self._state, self._limits, self._packages = state, limits, packages
        self._promoter, self._clock = promoter, clock

    def decide(self, result: JobResult) -> None:
        """Compare a trained candidate at the gate, then put it in service or reject it.

        A second call does nothing: a version that was decided on stays decided.
        """
        product = self._state.product
        known = transitions.find(self._state.event, result.version)
        if known is not None and known.state != "candidate":
            return
        try:
            model, _ = self._load(result.package, result.version, "trained")
        except PackageRejected as error:
            self.give_up(JobFailure(version=result.version, reason=error.reason, message=str(error)))
            return
        if known is None:
            self._state.announce(transitions.add(self._state.event, model, self._clock.now()))
        live = None if result.live is None else _measured(result.live)
        history = GateHistory.of(self._state.event, self._clock.now())
        ruling = rule(_measured(result.candidate), live, self._limits, result.floor, history)
        ruling = with_labels(ruling, result.labelled, self._limits)
        word = "passed" if ruling.accepted else ruling.reason.split(":")[0]
        metrics.DECISIONS.add(product=product, word=word)
        log.info("gate_ruled", product=product, version=model.version, reason=ruling.reason, **ruling.figures)
        reason = _with_left_out(ruling.reason, model)
        if ruling.accepted:
            self.put_in_service(model.version, reason, ruling.figures)
        else:
            self._reject(model.version, reason, ruling.figures)

    def give_up(self, failure: JobFailure) -> None:
        """Announce that a training ended without a package, under the version it would have had."""
        if failure.reason in metrics.PACKAGE_REFUSALS:
            metrics.PACKAGES_REFUSED.add(product=self._state.product, reason=failure.reason)
        self._reject(failure.version, f"training_failed: {failure.reason}: {failure.message}"[:500], {})

    def put_in_service(self, version: int, reason: str, figures: dict[str, float]) -> str | None:
        """Serve ``version``, announce it, and retire the one before; return why that failed, or None.

        On failure a version that was in service before stays retired; any other version is rejected.
        """
        event, product = self._state.event, self._state.product
        known = transitions.find(event, version)
        assert known is not None
        try:
            model, files = self._load(known.package, version, reason)
            self._check_licence(model)
            self._promoter.put_beside(product, model, files[MODEL], self._in_service())
        except (PromotionFailed, PackageRejected) as failure:
            self._count(failure)
            word = failure.word if isinstance(failure, PromotionFailed) else failure.reason
            told = str(failure) if isinstance(failure, PromotionFailed) else f"{word}: {failure}"
            metrics.PROMOTIONS.add(product=product, outcome=word)
            if known.state != "retired":
                self._reject(version, told[:500], figures)
            return told[:500]
        step = Step(version, "live", reason, self._clock.now())
        after = transitions.go_live(transitions.refresh(event, model), step, figures)
        self._state.announce(after.model_copy(update={"best": best_figures(event, figures)}))
        metrics.PROMOTIONS.add(product=product, outcome="live")
        return None

    def ensure_served(self) -> None:
        """Serve the live version again when Triton lost it, as it does at a restart.

        Raises LiveModelLost when neither the repository nor the store has an intact copy of it.
        """
        event, product = self._state.event, self._state.product
        live = event.live()
        if live is None or self._promoter.is_served(product, live.version):
            return
        log.warning("live_version_not_served", product=product, version=live.version)
        self._publish_again(live)
        self._promoter.load_again(product, live.version)

    def mend(self) -> None:
        """Reload the live version when Triton calls it ready but it does not answer.

        It is written again first: whoever writes to the repository may have changed how it is served. Raises
        LiveModelLost when no intact copy is left.
        """
        live = self._state.event.live()
        if live is not None:
            log.warning("live_version_does_not_answer", product=self._state.product, version=live.version)
            self._publish_again(live)
            self._promoter.mend(self._state.product, live.version)

    def _publish_again(self, live: Model) -> None:
        product = self._state.product
        try:
            before = transitions.before_live(self._state.event)
            kept = None if before is None else transitions.find(self._state.event, before)
            self._promoter.publish(product, InService(live, self._intact_file(live)), kept)
        except PackageRejected as error:
            self._count(error)
            raise LiveModelLost(f"version {live.version} of {product}: {error}") from error

    def _in_service(self) -> InService | None:
        """Return the live version, with its file where the repository or the store has an intact copy."""
        live = self._state.event.live()
        if live is None:
            return None
        try:
            return InService(live, self._intact_file(live))
        except PackageRejected as error:
            self._count(error)
            return InService(live, None)

    def _intact_file(self, model: Model) -> bytes:
        """Return the version's model file from Triton's repository, else from the store; raises
        PackageRejected, or StoreUnavailable.
        """
        file = self._promoter.intact_file(self._state.product, model)
        if file is None:
            file = self._packages.load(self._state.product, model.version, model.package)[MODEL]
        return file

    def _check_licence(self, model: Model) -> None:
        licence = model.lineage.get("licence", NO_LICENCE)
        if self._limits.require_licence and NO_LICENCE in licence.split():
            raise PromotionFailed(
                UNKNOWN_LICENCE,
                f"nobody has said what licence the weights of version {model.version} have, and "
                "gate.require_licence is set: train it again, or take that out of the line file",
            )

    def _count(self, failure: Exception) -> None:
        if isinstance(failure, PackageRejected):
            metrics.PACKAGES_REFUSED.add(product=self._state.product, reason=failure.reason)

    def _load(self, package: Package, version: int, reason: str) -> tuple[Model, dict[str, bytes]]:
        files = self._packages.load(self._state.product, version, package)
        card = self._packages.card(self._state.product, version, files)
        return card.model(package, "candidate", reason), files

    def _reject(self, version: int, reason: str, figures: dict[str, float]) -> None:
        step = Step(version, "rejected", reason, self._clock.now())
        self._state.announce(transitions.reject(self._state.event, step, figures))


def _measured(figures: Figures) -> GateFigures:
    return GateFigures(**figures.model_dump())


def _with_left_out(reason: str, model: Model) -> str:
    """Return the reason with the frames that were not believed to be normal."""
    left_out = model.lineage.get("left_out")
    return reason if left_out is None else f"{reason}; not believed to be normal: {left_out}"[:500]
