"""What becomes of what is collected."""

from steadyline.telemetry.instrument import counter

DIGESTS = counter("alerts_digests_total", "Digests put into the outbox because their time had come.")
DIGEST_LEFT_OUT = counter(
    "alerts_digest_left_out_total", "Alerts that did not fit into their digest: they are counted in it."
)
DIGEST_WAITS = counter(
    "alerts_digest_waits_total", "Times digests waited because the database was away or locked."
)
