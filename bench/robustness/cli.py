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
from steadyline.service import EXIT_FAILED
from steadyline.service import run as run_application
from steadyline.settings import TelemetrySettings, read_settings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole, styled
from trainer.config import TrainerSettings
from trainer.detectors.registry import DETECTORS
from trainer.progress import ProgressLines

app = typer.Typer(name="bench.robustness", pretty_exceptions_enable=False, add_completion=False)
_MODELS = (*DETECTORS, "patch-nearest", "patch-gaussian", "adversarial-classifier")
_DETECTOR = "Detector or baseline to measure; repeatable; by default all of them but Anomalib's."
_SET = "DETECTOR:NAME=VALUE replaces a number of its profile; repeatable; by default none is replaced."
_BFLOAT16 = "Attack with gradients in bfloat16 (scores stay float32); by default where the processor has it."
_OUT = "Folder of models and results, from which a killed run resumes."
_SEED = "Seed of the training; repeatable; by default 0."
_SIZE = "DETECTOR=SIDE of its input in pixels; repeatable; by default 64."
_MODEL = "NAME=PACKAGE to measure without training it; repeatable; by default none."
_FIT_STEPS = "Training steps; by default those of the profile."
_EPSILON = "Size of the attack in steps of 255; repeatable; by default 2 and 4."
_ATTACK_AT = "Attack the pixels of the camera (native), or those of the model's input."
_ATTACKED = "Pictures of each kind under the long attack; by default all."


@app.command()
def bench(
    data: Annotated[list[str], typer.Option("--data", help="NAME=FOLDER in MVTec layout; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help=_OUT)],
    detector: Annotated[list[str] | None, typer.Option("--detector", help=_DETECTOR)] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", help=_SEED)] = None,
    size: Annotated[list[str] | None, typer.Option("--size", help=_SIZE)] = None,
    numbers: Annotated[list[str] | None, typer.Option("--set", help=_SET)] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help=_MODEL)] = None,
    splits: Annotated[
        Path | None, typer.Option("--splits", help="Folder of splits; default is OUT/splits.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Profile of training: cpu or paper.")] = "cpu",
    fit_steps: Annotated[int | None, typer.Option("--fit-steps", min=1, help=_FIT_STEPS)] = None,
    channels: Annotated[
        Literal["gray", "rgb"], typer.Option("--channels", help="Channels of inputs.")
    ] = "gray",
    epsilon: Annotated[list[float] | None, typer.Option("--epsilon", help=_EPSILON)] = None,
    steps: Annotated[int, typer.Option("--pgd-steps", min=1, help="Steps of the long PGD attack.")] = 100,
    restarts: Annotated[int, typer.Option("--restarts", min=1, help="Random starts of the long attack.")] = 2,
    attack_at: Annotated[Literal["native", "input"], typer.Option("--attack-at", help=_ATTACK_AT)] = "native",
    attacked: Annotated[int | None, typer.Option("--attacked-pictures", min=2, help=_ATTACKED)] = None,
    checked: Annotated[int, typer.Option("--checked", min=2, help="Pictures of each kind to check.")] = 48,
    mixed: Annotated[bool | None, typer.Option("--bfloat16/--float32", help=_BFLOAT16)] = None,
) -> None:
    """Train, attack and tabulate; exit status 1 when a check of the figures fails."""
    configure_logs("bench", read_settings(TelemetrySettings))
    trainer = read_settings(TrainerSettings)
    os.environ.setdefault("OMP_NUM_THREADS", str(trainer.fit_threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from bench.robustness.matrix import BenchFolder, Matrix, run
    from bench.robustness.model_store import ModelStore
    from bench.robustness.plan import AttackSettings, FitSettingsByModel, overrides_by_detector
    from trainer.learning.precision import is_native

    wanted = tuple(detector) if detector else (() if model else _MODELS)
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
    fitting = FitSettingsByModel(profile, fit_steps, _sides(size or []), channels, overrides=overrides)
    shop = ModelStore(out / "models", fitting, trainer.serving(), _lines())
    rows = run(matrix, BenchFolder(out, splits or out / "splits", shop, settings, _say))
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


def _sides(pairs: list[str]) -> dict[str, int]:
    return {name: int(str(side)) for name, side in _named(pairs, "--size").items()}


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
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
