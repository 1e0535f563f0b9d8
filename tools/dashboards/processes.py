"""The panels of a service's processes: the same on each dashboard."""

from tools.dashboards.expressions import WINDOW, chosen
from tools.dashboards.panel import Panel, Query


def processes(job: str) -> tuple[Panel, ...]:
    """Return the panels of processor, memory and life of the processes of a service."""
    of = f'job="{job}"'
    return (
        Panel(
            "Processor",
            "Cores that each process uses.",
            (
                Query(
                    f"sum by (instance) (rate({chosen('process_cpu_seconds_total', of)}[{WINDOW}]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident memory of each process.",
            (Query(f"sum by (instance) ({chosen('process_resident_memory_bytes', of)})", "{{instance}}"),),
            unit="bytes",
        ),
        Panel(
            "Alive",
            "1 while every task of a process advances.",
            (Query(f"min by (instance) ({chosen('health_live_info', of)})", "{{instance}}"),),
            unit="none",
            runbook="process_down",
        ),
    )
