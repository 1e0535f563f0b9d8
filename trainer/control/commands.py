"""Follow the commands to promote, roll back, retrain and calibrate; an event answers each of them."""

from collections.abc import Callable

from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.station_calibration import StationCalibration, StationRefused
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventTooLarge
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.rollout import TECHNICAL, Rollout
from trainer.lifecycle.transitions import CommandsRead

log = get_logger(__name__)


class CommandRefused(Exception):
    """The command cannot be followed; the message says why."""


class Commands:
    """Answers one product's commands once each: the event carries the offset after the last one answered, and
    the id of the topic that it is an offset of.
    """

    def __init__(
        self,
        state: ProductState,
        rollout: Rollout,
        stations: StationCalibration,
        train: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._state, self._rollout, self._stations = state, rollout, stations
        self._train, self._clock = train, clock

    def answer(self, topic: str, offset: int, command: ModelCommand) -> None:
        """Follow or refuse the command at ``offset`` of ``topic``; one that was answered before is skipped.

        ``train`` raises CommandRefused when it cannot start a training.
        """
        if offset < transitions.answered_until(self._state.event, topic):
            return
        with self._state.answering(CommandsRead(topic, offset + 1)):
            outcome = self._outcome(command)
        metrics.COMMANDS.add(product=self._state.product, action=command.action, outcome=outcome)
        log.info(
            "command_answered",
            product=self._state.product,
            action=command.action,
            who=command.who,
            outcome=outcome,
        )

    def _outcome(self, command: ModelCommand) -> str:
        try:
            self._follow(command)
        except (CommandRefused, StationRefused, EventTooLarge) as refusal:
            version = command.version or self._state.event.live_version or 1
            text = f"{transitions.REFUSED}{command.action} by {command.who}: {refusal}"
            self._state.announce(transitions.note(self._state.event, version, text, self._clock.now()))
            return "refused"
        return "done"

    def _follow(self, command: ModelCommand) -> None:
        origin = f"by {command.who}" + (f": {command.why}" if command.why else "")
        match command.action:
            case "retrain":
                self._train(origin)
            case "promote":
                self._promote(command.version, origin)
            case "rollback":
                self._roll_back(command.version, origin)
            case "shadow":
                raise CommandRefused("this trainer serves no shadow versions")
            case "calibrate":
                self._stations.calibrate(command)
            case "uncalibrate":
                self._stations.undo(command)

    def _promote(self, version: int | None, origin: str) -> None:
        if version is None:
            raise CommandRefused("which version to promote was not said")
        model = transitions.find(self._state.event, version)
        if model is None:
            raise CommandRefused(f"version {version} is not known (any more)")
        if model.state == "live":
            raise CommandRefused(f"version {version} is live already")
        if model.state == "rejected" and not model.reason.startswith(TECHNICAL):
            raise CommandRefused(f"version {version} was rejected: {model.reason}")
        self._serve(version, f"promoted {origin}")

    def _roll_back(self, version: int | None, origin: str) -> None:
        target = version or transitions.before_live(self._state.event)
        model = None if target is None else transitions.find(self._state.event, target)
        if target is None or model is None or model.state != "retired":
            raise CommandRefused("there is no version that was live before")
        self._serve(target, f"rolled back {origin}")
        metrics.PROMOTIONS.add(product=self._state.product, outcome="rolled_back")

    def _serve(self, version: int, reason: str) -> None:
        failure = self._rollout.put_in_service(version, reason, {})
        if failure is not None:
            raise CommandRefused(f"version {version} cannot be served and the live one stays: {failure}")
