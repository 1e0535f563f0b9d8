"""What becomes of incidents that nobody takes."""

from typing import Literal, get_args

from steadyline.telemetry.instrument import counter

StepOutcome = Literal["delivered", "no_subscription", "switched_off"]

ESCALATION_STEPS = counter(
    "alerts_escalation_steps_total",
    "Steps of escalation chains that came due, by what became of them: put into the outbox, or passed over "
    "because the subscription is gone or switched off.",
    labels={"outcome": get_args(StepOutcome)},
)
ESCALATION_WAITS = counter(
    "alerts_escalation_waits_total", "Times escalations waited because the database was away or locked."
)
