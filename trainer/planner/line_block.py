"""A plan's product as the line file has it. Pure."""

import shlex
from pathlib import Path

from steadyline.picture_folder import printable
from steadyline.prepare import Channels
from trainer.planner.measured import Measured


def line_block(product: str, taken: Measured, normals: Path, channels: Channels, rate: float) -> str:
    """Return the block ``products`` of a line file for what a plan has taken; it says so of a blind one.

    Two comments say which commands make a whole line file, or a model without a line, of the same choice.
    """
    warning = "" if taken.blind is None else f"    # sees next to nothing, see plan.html: {taken.blind}\n"
    folder = str(normals.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    same = (
        f"--product {product} --detector {taken.candidate.detector} --grid {taken.candidate.grid} "
        f"--channels {channels}"
    )
    good = shlex.quote(printable(normals.absolute()))
    return (
        f"# A line: steadyline init --camera usb:0 --normals {good} {same}\n"
        f"# A model: python -m trainer fit --data {good} {same} --out MODEL\n"
        "products:\n"
        f"  {product}:\n"
        f"{warning}"
        f"    picture: {{grid: {taken.candidate.grid}, channels: {channels}}}\n"
        f"    detector: {taken.candidate.detector}\n"
        f'    normals: "{folder}"\n'
        f"    false_alarm_rate: {rate:g}\n"
    )
