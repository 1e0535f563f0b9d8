"""The command line of the bench: what is run, where results lie, what is printed."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid, grid_option
from steadyline.service import EXIT_FAILED
from steadyline.service import run as run_application
from steadyline.settings import TelemetrySettings, read_settings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole, styled
from trainer.config import TrainerSettings
from trainer.detectors.registry import DETECTORS
from trainer.progress import ProgressLines

app = typer.Typer(name="bench.robustness", pretty_exceptions_enable=False, add_completion=False)
_DATA = "A data set in MVTec layout, as NAME=FOLDER; give the option again for another one."
_OUT = "The folder of models and results; a command that was killed goes on from what lies there."
_DETECTOR = (
    "A detector or baseline to train and measure; again for another one. The default is every one but "
    "Anomalib's, or none when --model is given."
)
_SEED = "A seed of the trainings; again for another one, which trains every detector anew. The default is 0."
_SIZE = (
    "The input of a detector in pixels, as DETECTOR=SIDE or DETECTOR=HEIGHTxWIDTH; again for another. "
    "The default is 64, 128 for daf, and 224 for bgad, patch and baselines on frozen features."
)
_SET = (
    "Another number than the profile of a detector has, as DETECTOR:NAME=VALUE; again for another number. "
    "The default is to take the profile as it is."
)
_MODEL = "A package that exists already, as NAME=FOLDER; again for another one. The default is none."
_SPLITS = "The folder of the files that fix which pictures a data set has. The default is OUT/splits."
_PROFILE = "The training profile: cpu or paper."
_FIT_STEPS = "The number of training steps of every detector. The default is that of its profile."
_CHANNELS = "Whether the models that are trained see grey or coloured pictures."
_EPSILON = (
    "The largest change of a pixel that an attack may make, in steps of 8 bits; again for another size. The "
    "default is 2 and 4."
)
_STEPS = "The number of steps of the long attack."
_RESTARTS = "The number of random starts of the long attack."
_ATTACK_AT = (
    "Whether attacks change the camera's own pixels, through the resize, or those of the model's input."
)
_ATTACKED = (
    "The number of good and of defective pictures that the long attacks change. The default is all of them."
)
_CHECKED = "The number of good and of defective pictures under the attacks that check the figures."
_BFLOAT16 = (
    "Whether attacks compute gradients in bfloat16; scores are float32 in any case. The default is bfloat16 "
    "where the processor has it."
)


@app.command()
def bench(
    data: Annotated[list[str], typer.Option("--data", help=_DATA)],
    out: Annotated[Path, typer.Option("--out", help=_OUT)],
    detector: Annotated[list[str] | None, typer.Option("--detector", help=_DETECTOR)] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", help=_SEED)] = None,
    size: Annotated[list[str] | None, typer.Option("--size", help=_SIZE)] = None,
    numbers: Annotated[list[str] | None, typer.Option("--set", help=_SET)] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help=_MODEL)] = None,
    splits: Annotated[Path | None, typer.Option("--splits", help=_SPLITS)] = None,
    profile: Annotated[str, typer.Option("--profile", help=_PROFILE)] = "cpu",
    fit_steps: Annotated[int | None, typer.Option("--fit-steps", min=1, help=_FIT_STEPS)] = None,
    channels: Annotated[Literal["gray", "rgb"], typer.Option("--channels", help=_CHANNELS)] = "gray",
    epsilon: Annotated[list[float] | None, typer.Option("--epsilon", help=_EPSILON)] = None,
    steps: Annotated[int, typer.Option("--pgd-steps", min=1, help=_STEPS)] = 100,
    restarts: Annotated[int, typer.Option("--restarts", min=1, help=_RESTARTS)] = 2,
    attack_at: Annotated[Literal["native", "input"], typer.Option("--attack-at", help=_ATTACK_AT)] = "native",
    attacked: Annotated[int | None, typer.Option("--attacked-pictures", min=2, help=_ATTACKED)] = None,
    checked: Annotated[int, typer.Option("--checked", min=2, help=_CHECKED)] = 48,
    mixed: Annotated[bool | None, typer.Option("--bfloat16/--float32", help=_BFLOAT16)] = None,
) -> None:
    """Train, attack and tabulate; exit status 1 when a check of the figures fails."""
    configure_logs("bench", read_settings(TelemetrySettings))
    trainer = read_settings(TrainerSettings)
    os.environ.setdefault("OMP_NUM_THREADS", str(trainer.fit_threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from bench.robustness.matrix import BenchFolder, Matrix, measure_all
    from bench.robustness.model_store import ModelStore
    from bench.robustness.plan import VARIANTS, AttackSettings, FitSettingsByModel, overrides_by_detector
    from trainer.learning.precision import is_native

    every = (*DETECTORS, *VARIANTS, "adversarial-classifier")
    wanted = tuple(detector) if detector else (() if model else every)
    matrix = Matrix(_named(data, "--data"), wanted, tuple(seed or [0]), _named(model or [], "--model"))
    settings = AttackSettings(
        epsilons=tuple(sorted(value / 255 for value in epsilon or (2, 4))),
        steps=steps,
        restarts=restarts,
        attacked=attacked,
        checked=checked,
        at=attack_at,
        mixed=is_native() if mixed is None else mixed,
    )
    overrides = overrides_by_detector(numbers or [])
    fitting = FitSettingsByModel(profile, fit_steps, _grids(size or []), channels, overrides=overrides)
    models = ModelStore(out / "models", fitting, _lines())
    rows = measure_all(matrix, BenchFolder(out, splits or out / "splits", models, settings, _say))
    _publish(rows, matrix.data, out)


def _publish(rows: list[dict[str, object]], data: Mapping[str, Path], out: Path) -> None:
    from bench.robustness.matrix import broken
    from bench.robustness.plots import draw_curves
    from bench.robustness.table import markdown, show

    command = shlex.join(["python", "-m", "bench.robustness", *sys.argv[1:]])
    (out / "results.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (out / "table.md").write_text(markdown(rows, command), encoding="utf-8")
    for name in data:
        drawn = [row for row in rows if row["data"] == name and "error" not in row]
        if drawn:
            draw_curves(out / f"curves-{name}.png", drawn)
    console = PlainConsole(soft_wrap=True)
    show(rows, console)
    console.print(f"tables: {out / 'table.md'}; figures: {out / 'results.json'}; plots: {out}")
    problems = broken(rows)
    for problem in problems:
        console.print(styled(("not to be believed", "bold red"), f": {problem}"))
    if problems:
        raise typer.Exit(EXIT_FAILED)


def _named(pairs: list[str], option: str) -> dict[str, Path]:
    found = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value or "/" in name:
            raise InvalidConfiguration(f"{option} {pair}: NAME=VALUE is wanted, the name without a slash")
        found[name] = Path(value)
    return found


def _grids(pairs: list[str]) -> dict[str, Grid]:
    return {name: grid_option("--size", str(text)) for name, text in _named(pairs, "--size").items()}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _lines() -> Callable[[str, int, int], None]:
    lines = ProgressLines(SystemClock())

    def on_progress(phase: str, done: int, total: int) -> None:
        line = lines.line(phase, done, total)
        if line is not None:
            _say(f"  {line}")

    return on_progress


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run_application(app, argv)
