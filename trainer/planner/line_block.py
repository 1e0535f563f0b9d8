"""A plan's product as the line file has it. Pure."""

from pathlib import Path

from steadyline.prepare import Channels
from trainer.planner.measured import Measured


def line_block(product: str, taken: Measured, normals: Path, channels: Channels, rate: float) -> str:
    """Return the block ``products`` of a line file for what a plan has taken; it says so of a blind one."""
    warning = "" if taken.blind is None else f"    # sees next to nothing, see plan.html: {taken.blind}\n"
    folder = str(normals.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return (
        "products:\n"
        f"  {product}:\n"
        f"{warning}"
        f"    picture: {{grid: {taken.candidate.grid}, channels: {channels}}}\n"
        f"    detector: {taken.candidate.detector}\n"
        f'    normals: "{folder}"\n'
        f"    false_alarm_rate: {rate:g}\n"
    )
