"""The live table of the demonstration: cameras, rate, lag, verdicts, model version."""

from datetime import UTC, datetime

from rich.table import Table

from steadyline.demo.observe import ObservedMessages
from steadyline.demo.plan import CAMERAS


def live_table(seen: ObservedMessages, phase: str) -> Table:
    """Return the table of the present state."""
    now = datetime.now(UTC)
    with seen.lock:
        model = seen.model
        version = f"v{model.live_version}" if model is not None and model.live_version else "none yet"
        table = Table(title=f"{phase} · model {version} · lag {seen.lag} · {len(seen.scores)} scored")
        for column in ("camera", "state", "captured", "dropped", "scored/s", "normal", "anomalous"):
            table.add_column(column, justify="left" if column in ("camera", "state") else "right")
        for camera in CAMERAS:
            status = seen.statuses.get(camera)
            table.add_row(
                camera,
                status.state if status else "-",
                str(status.captured if status else 0),
                str(sum(status.dropped.values()) if status else 0),
                f"{seen.rate(camera, now):.1f}",
                str(seen.verdicts[camera, "normal"]),
                str(seen.verdicts[camera, "anomalous"]),
            )
    return table


def one_line(seen: ObservedMessages, phase: str) -> str:
    """Return the present state as one line for logs."""
    now = datetime.now(UTC)
    with seen.lock:
        version = seen.model.live_version if seen.model is not None else None
        model = "no model yet" if version is None else f"model v{version}"
        if not seen.statuses:
            return f"{phase}: {model}"
        rates = " ".join(f"{camera} {seen.rate(camera, now):.1f}/s" for camera in CAMERAS)
        anomalous = sum(count for (_, verdict), count in seen.verdicts.items() if verdict == "anomalous")
        scored = f"scored {len(seen.scores)} anomalous {anomalous}"
        return f"{phase}: {model} lag {seen.lag} {scored} {rates}"
