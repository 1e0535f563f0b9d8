"""Measures how many megabytes a second one producers process passes from JPEG files to the topic."""

import time
from collections.abc import Callable

from bench.line.account import CpuAccount
from bench.line.environment import CAMERAS, BenchEnvironment, BenchLine
from bench.line.pictures import jpegs, write_folder
from bench.line.report import Section

SIDE = 1000  # in pixels; it gives files of about 260 KB
FILES = 24
FRAMES = 600  # sent by each camera
BEGIN = 0.2  # counting begins after this share of the frames, when the process is warm


def measure(environment: BenchEnvironment, say: Callable[[str], None]) -> Section:
    """Replay a folder with four cameras as fast as they can send."""
    pictures = jpegs(FILES, SIDE)
    size = sum(map(len, pictures)) / len(pictures)
    folder = write_folder(environment.home / "capture-pictures", pictures)
    whole = FRAMES * len(CAMERAS)
    with BenchLine(environment, "capture", f"folder:{folder}?fps=10000&loop=true&limit={FRAMES}") as line:
        producers = line.start("producers", "run")
        line.wait(lambda: line.published() >= BEGIN * whole)
        account, first, began = (
            CpuAccount(environment, producers=producers),
            line.published(),
            time.monotonic(),
        )
        line.wait(lambda: line.published() >= 0.9 * whole)
        frames, took = line.published() - first, time.monotonic() - began
        used = account.close(frames)
    rate = frames * size / 1e6 / took
    per_megabyte = {name: used.ms[name] * 1e6 / size for name in ("producers", "kafka")}
    say(f"{rate:.0f} MB/s")
    figures = {
        "megabytes_per_second": round(rate, 1),
        "frame_bytes": round(size),
        "cpu_ms_per_megabyte": {name: round(value, 2) for name, value in per_megabyte.items()},
        "strangers_cores": round(used.strangers, 2),
    }
    rows = [
        ["MB a second", f"{rate:.0f}"],
        ["frames a second", f"{frames / took:.0f}"],
        *([f"CPU ms a MB, {name}", f"{value:.2f}"] for name, value in per_megabyte.items()),
        ["strangers' cores", f"{used.strangers:.1f}"],
    ]
    title = f"5. One producers process, {len(CAMERAS)} cameras, JPEGs of {size / 1000:.0f} KB passed through"
    return Section("producers", title, figures, ("", ""), rows)
