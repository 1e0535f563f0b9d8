"""A plan's product as the line file has it. Pure."""

from pathlib import Path

from steadyline.prepare import Channels
from trainer.planner.measured import Measured


def line_block(product: str, taken: Measured, normals: Path, channels: Channels, rate: float) -> str:
    """Return the block ``products`` of a line file for what a plan has taken."""
    folder = str(normals.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return (
        "products:\n"
        f"  {product}:\n"
        f"    picture: {{grid: {taken.candidate.grid}, channels: {channels}}}\n"
        f"    detector: {taken.candidate.detector}\n"
        f'    normals: "{folder}"\n'
        f"    false_alarm_rate: {rate:g}\n"
    )
