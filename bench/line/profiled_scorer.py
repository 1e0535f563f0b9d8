"""``python -m bench.line.profiled_scorer``: a real scorer, measured between two counts of frames."""

import json
import threading
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from bench.line.meter import Meter
from bench.line.sampler import Sampler
from scorer.cli import main as run_scorer
from scorer.postprocess import Postprocessor
from steadyline.replace_file import replace_file


class Watch(Protocol):
    """An observer of the process: it counts CPU from ``reset`` on, and gives an account of it."""

    def install(self) -> None: ...

    def reset(self) -> None: ...

    def account(self) -> Any: ...


def main(
    line: Annotated[Path, typer.Option(help="Path of the line file.")],
    out: Annotated[Path, typer.Option(help="File that the measurement is written to.")],
    skip: Annotated[int, typer.Option(help="Frames to score before the measurement begins.")],
    frames: Annotated[int, typer.Option(help="Frames that are measured.")],
    sampled: Annotated[
        bool, typer.Option("--sampled", help="Measure by place in the code instead of by stage.")
    ] = False,
) -> None:
    """Score until a signal comes; the account is written as soon as the frames are scored."""
    watch: Watch = Sampler() if sampled else Meter()
    watch.install()
    _count_frames(watch, out, skip, frames)
    raise typer.Exit(run_scorer(["run", "--line", str(line)]))


def _count_frames(watch: Watch, out: Path, skip: int, frames: int) -> None:
    """Reset after ``skip`` frames and write the account ``frames`` later."""
    finish, lock = Postprocessor.finish, threading.Lock()
    seen, since = 0, 0

    def counted(self: Postprocessor, inferred_batch: Any) -> None:
        nonlocal seen, since
        finish(self, inferred_batch)
        with lock:
            before, seen = seen, seen + len(inferred_batch.tasks)
            if before < skip <= seen:
                watch.reset()
                since = seen
            elif before < skip + frames <= seen:
                account = {"frames": seen - since, "seconds": watch.account()}
                replace_file(out, json.dumps(account).encode())

    setattr(Postprocessor, "finish", counted)  # noqa: B010 - the product's own class, in this process only


if __name__ == "__main__":
    typer.run(main)
