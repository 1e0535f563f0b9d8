"""``python -m trainer run|fit|evaluate|plan|bank|config``; ``run`` starts ``job`` for each training.

torch takes seconds to import and a gigabyte to hold, and the serving process has no use for it: what needs it
is imported by the command that needs it.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steadyline.child_process import exit_with_parent
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid, grid_option
from steadyline.grid_choice import grid_of
from steadyline.kafka.model_events import read_seal
from steadyline.line import NEW_DETECTOR, load_line, whole_name
from steadyline.service import (
    EXIT_FAILED,
    EXIT_FATAL,
    LineFile,
    config_command,
    run_service,
    service_application,
)
from steadyline.service import run as run_application
from steadyline.settings import (
    KafkaSettings,
    RedisSettings,
    SigningSettings,
    TelemetrySettings,
    TritonSettings,
    read_settings,
)
from steadyline.signing import read_signer, read_trusted
from steadyline.telemetry.certificates import certificate_files, watched_certificates
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole, styled
from trainer.config import KubernetesSettings, TrainerSettings
from trainer.detectors.registry import DETECTORS
from trainer.overrides import overrides_of
from trainer.progress import ProgressLines, ReportProgress
from trainer.sight import blind_reason, modest_note

if TYPE_CHECKING:
    from trainer.folder import FolderOrder

app = service_application(
    "trainer",
    "Trains, proves and swaps in the models of a line; fits and evaluates on a folder without a server.",
)
bank = typer.Typer(help="The banks of pseudo-anomalies in Redis.", no_args_is_help=True)
app.add_typer(bank, name="bank")

Data = Annotated[Path, typer.Option("--data", help="Pictures of good parts, or a folder in MVTec layout.")]
IsChild = Annotated[bool, typer.Option("--child", hidden=True, help="End together with the parent process.")]
_FINER = "Take a finer --grid or another detector: python -m trainer plan --data FOLDER tries them."
_OUT = "Folder to write the package to; a killed fit resumes from it."
_MAP_DETECTOR = "Second detector, for the map, in the same graph; by default none."
_COMPANION = "Detector beside it, certified, for the margin of its verdicts; by default none."
_SIZE = "Side of a square input in pixels, the short form of --grid; by default --grid counts."
_GRID = (
    "Height and width of the input in pixels, 512x208 for example; by default the proportions of the good "
    "parts and at most 65,536 pixels."
)
_PROFILE = "Size of the training: cpu (minutes on two cores) or paper (needs a GPU)."
_STEPS = "Training steps; by default those of the profile."
_ALARMS = "Share of normals that may be called anomalous; sets the threshold."
_SET = "NAME=VALUE (robust.schedule.batch=16) replaces a number of the profile; repeatable; by default none."
_DEFECTS = "Folder of known defects, masks in its folder masks, for bgad; by default none."
_GUARD = "Leave out, and name, the normals that are too far from all others; by default they are left out."
_OTHER = "Second package, whose attacks must do less harm than the model's own; by default none."
_PGD_STEPS = "Steps of the PGD attack; repeatable; by default 20 and 100."
_ATTACK_AT = "Attack the pixels of the model's input, or those of the camera (native)."
_ATTACKED = "Pictures of each kind to attack; by default all of them."
_QUICK = "Skip the checks that the attacks were strong enough."
_REPORT = "File to write a one-page HTML report to; by default none."
_KNOWN = "Digests of a bank and of its normals, BANK:NORMALS; repeatable; by default any bank."
_PLAN_OUT = "Folder for the plan, its page and each measured candidate; a killed plan goes on from it."
_MS = "Milliseconds that one picture may take through the served graph, by default 50."
_DEVICE = "Device that the milliseconds are measured on, cpu (one core, the default) or gpu."
_DEFECT_PX = "Size in camera pixels of a defect to be seen; by default 1/16 to 1/4 of the shorter side."
_DEFECT_FROM = "Picture of a known defect, whose size --box tells; by default none."
_BOX = "Where the defect is in --defect-from: x,y,w,h in pixels; by default none."
_PLAN_DEFECTS = "Folder of known defects, to judge by and never to train on; by default none."
_PLAN_LABELS = "Line file whose store has labelled defects of --product, to judge by; by default none."
_PLAN_DETECTORS = (
    "Detector to try; repeatable; by default patch and either, and robust where it could be taken."
)
_PLAN_STEPS = "Training steps of each candidate, by default 300, far fewer than fit takes."
_MINUTES = "Minutes of computing after which no new candidate is begun, by default 20."
_PRODUCTS = "Product whose bank is made again; repeatable; by default all of the line."


@app.command()
def run(line: LineFile) -> None:
    """Train, prove, swap in and watch the models of a line until a signal comes."""
    from trainer.app import TrainerDependencies, build

    config = load_line(line, DETECTORS)
    dependencies = TrainerDependencies(
        config,
        line.resolve(),
        read_settings(TrainerSettings),
        read_settings(KafkaSettings),
        read_settings(RedisSettings),
        read_settings(TritonSettings),
        read_settings(KubernetesSettings),
        read_seal(config.line, read_settings(SigningSettings), signs=True),
        SystemClock(),
    )

    reporting = read_settings(TelemetrySettings)
    files = certificate_files(dependencies.kafka, dependencies.redis, dependencies.triton, reporting)

    def serve(stop: threading.Event, health: ServiceHealth) -> None:
        with watched_certificates(files), build(dependencies, health) as trainer:
            trainer.run(stop)

    run_service("trainer", reporting, dependencies.clock, serve)


@app.command(hidden=True)
def job(
    line: LineFile,
    work: Annotated[Path, typer.Option("--work", help="Folder of the order, its checkpoint and outcome.")],
    is_child: IsChild = False,
) -> None:
    """Carry out the training that a folder holds the order of; started by ``run``, or as a Job for it.

    Started by torchrun, the processes share the training.
    """
    if is_child:
        exit_with_parent()
    else:
        signal.signal(signal.SIGTERM, _end_at_once)
    configure_logs("trainer", read_settings(TelemetrySettings))
    settings, redis = read_settings(TrainerSettings), read_settings(RedisSettings)
    keys = read_settings(SigningSettings)
    _limit_threads(settings.fit_threads)
    from trainer.jobs.worker import carry_out

    if not carry_out(load_line(line), work, (settings, redis, keys)):
        raise typer.Exit(EXIT_FATAL)


@app.command(hidden=True, context_settings={"ignore_unknown_options": True})
def torchrun(
    words: Annotated[list[str], typer.Argument(help="What torchrun is told, and what it is to start.")],
) -> None:
    """Start the processes of one pod of a training, as torchrun does; the chart's Jobs do it.

    The status is that of the first process that fails, 137 of one that was killed.
    """
    signal.signal(signal.SIGTERM, _end_at_once)  # until torchrun has processes, which it then ends itself
    configure_logs("trainer", read_settings(TelemetrySettings))
    from trainer.jobs.torchrun import run_processes

    status = run_processes(words)
    if status:
        raise typer.Exit(status)


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help=_OUT)],
    product: Annotated[str, typer.Option("--product", help="Name that the model gets.")] = "part",
    detector: Annotated[str, typer.Option("--detector", help="Detector of score and map.")] = NEW_DETECTOR,
    map_detector: Annotated[str | None, typer.Option("--map-detector", help=_MAP_DETECTOR)] = None,
    companion: Annotated[Literal["certified"] | None, typer.Option("--companion", help=_COMPANION)] = None,
    profile: Annotated[str, typer.Option("--profile", help=_PROFILE)] = "cpu",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help=_STEPS)] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bank and of the training.")] = 0,
    size: Annotated[int | None, typer.Option("--size", min=16, max=2048, help=_SIZE)] = None,
    grid: Annotated[str | None, typer.Option("--grid", help=_GRID)] = None,
    channels: Annotated[
        Literal["gray", "rgb"], typer.Option("--channels", help="Channels of the input.")
    ] = "gray",
    false_alarm_rate: Annotated[
        float, typer.Option("--false-alarm-rate", min=1e-6, max=0.999, help=_ALARMS)
    ] = 0.01,
    numbers: Annotated[list[str] | None, typer.Option("--set", help=_SET)] = None,
    known_defects: Annotated[Path | None, typer.Option("--known-defects", help=_DEFECTS)] = None,
    guard: Annotated[bool, typer.Option("--guard/--no-guard", help=_GUARD)] = True,
) -> None:
    """Train on the normals of a folder and write a package; status 1 when its model sees next to nothing.

    No server is needed. What torchrun --nproc-per-node N -m trainer fit … starts shares the training.
    """
    configure_logs("trainer", read_settings(TelemetrySettings))
    settings = read_settings(TrainerSettings)
    _limit_threads(settings.fit_threads)
    from trainer.folder import FolderOrder

    order = FolderOrder(
        data=data,
        out=out,
        product=product,
        detector=whole_name(detector, map_detector, companion),
        profile=profile,
        steps=steps,
        seed=seed,
        grid=_grid_of(size, grid, data),
        channels=channels,
        false_alarm_rate=false_alarm_rate,
        overrides=overrides_of(numbers or []),
        known_defects=known_defects,
        signer=read_signer(read_settings(SigningSettings)),
        guard=guard,
    )
    _carry_out_fit(order, settings)


@app.command()
def evaluate(
    data: Data,
    model: Annotated[Path, typer.Option("--model", help="Folder of a model package that fit wrote.")],
    other: Annotated[Path | None, typer.Option("--other", help=_OTHER)] = None,
    pgd_steps: Annotated[list[int] | None, typer.Option("--pgd-steps", min=1, help=_PGD_STEPS)] = None,
    restarts: Annotated[int, typer.Option("--restarts", min=1, help="Random starts of each attack.")] = 1,
    attack_at: Annotated[Literal["input", "native"], typer.Option("--attack-at", help=_ATTACK_AT)] = "input",
    attacked: Annotated[int | None, typer.Option("--attacked-pictures", min=1, help=_ATTACKED)] = None,
    quick: Annotated[bool, typer.Option("--quick", help=_QUICK)] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the attacks and corruptions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    page: Annotated[Path | None, typer.Option("--report", help=_REPORT)] = None,
) -> None:
    """Measure a package on a folder: clean, corrupted and attacked; exit status 1 when a check fails."""
    configure_logs("trainer", read_settings(TelemetrySettings))
    _limit_threads(read_settings(TrainerSettings).fit_threads)
    from trainer.evaluation.attack_plan import IndependentAttacks
    from trainer.evaluation.evaluator import EvaluationSettings
    from trainer.evaluation.report import is_believable, show, write_report
    from trainer.folder import EvaluationOrder, evaluate_folder

    steps = tuple(sorted(set(pgd_steps))) if pgd_steps else (20, 100)
    attack, checked = IndependentAttacks(steps, restarts), 0 if quick else EvaluationSettings().checked
    how = EvaluationSettings(attack=attack, attacked=attacked, checked=checked, at=attack_at, seed=seed)
    with _bar() as on_progress:
        found, card = evaluate_folder(
            EvaluationOrder(data, model, other, how, read_trusted(read_settings(SigningSettings))),
            lambda step, total, message: on_progress("evaluate", step, total),
        )
    if as_json:
        print(json.dumps(found.figures, indent=1))
    else:
        show(found, PlainConsole(soft_wrap=True))
    if page is not None:
        write_report(page, found, card, data)
        PlainConsole(stderr=True, soft_wrap=True).print(f"report: {page}")
    if not is_believable(found):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def plan(
    data: Annotated[Path, typer.Option("--data", help="Folder of good parts, or in MVTec layout.")],
    out: Annotated[Path, typer.Option("--out", help=_PLAN_OUT)],
    product: Annotated[str, typer.Option("--product", help="Name of the product in the line file.")] = "part",
    ms: Annotated[float, typer.Option("--ms", min=0.1, help=_MS)] = 50.0,
    device: Annotated[Literal["cpu", "gpu"], typer.Option("--device", help=_DEVICE)] = "cpu",
    defect_px: Annotated[int | None, typer.Option("--defect-px", min=2, help=_DEFECT_PX)] = None,
    defect_from: Annotated[Path | None, typer.Option("--defect-from", help=_DEFECT_FROM)] = None,
    box: Annotated[str | None, typer.Option("--box", help=_BOX)] = None,
    defects: Annotated[Path | None, typer.Option("--defects", help=_PLAN_DEFECTS)] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help=_PLAN_LABELS)] = None,
    detector: Annotated[list[str] | None, typer.Option("--detector", help=_PLAN_DETECTORS)] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help=_PLAN_STEPS)] = 300,
    minutes: Annotated[float, typer.Option("--minutes", min=0, help=_MINUTES)] = 20.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of defects and trainings.")] = 0,
    false_alarm_rate: Annotated[
        float, typer.Option("--false-alarm-rate", min=1e-6, max=0.999, help=_ALARMS)
    ] = 0.01,
) -> None:
    """Choose detector and grid for a folder of good parts; exit status 1 when nothing sees enough."""
    configure_logs("trainer", read_settings(TelemetrySettings))
    _limit_threads(read_settings(TrainerSettings).fit_threads)
    from trainer.planner.measure import ShortTraining
    from trainer.planner.page import show
    from trainer.planner.plan import PlanOrder, chosen_detectors, defect_hint, make_plan

    labelled = () if labels is None else _labelled(labels, product, data, out)
    order = PlanOrder(
        data=data,
        out=out,
        product=product,
        hint=defect_hint(defect_px, defect_from, box, defects, labelled),
        budget_ms=ms,
        minutes=minutes,
        detectors=chosen_detectors(detector or ()),
        how=ShortTraining(steps, seed, false_alarm_rate, device),
    )
    with _bar() as on_progress:
        found = make_plan(order, on_progress)
    show(found, PlainConsole(soft_wrap=True))
    if found.conclusion.is_blind:
        raise typer.Exit(EXIT_FAILED)


@bank.command()
def rebuild(
    line: LineFile,
    product: Annotated[list[str] | None, typer.Option("--product", help=_PRODUCTS)] = None,
    is_child: IsChild = False,
    known: Annotated[list[str] | None, typer.Option("--known", hidden=True, help=_KNOWN)] = None,
) -> None:
    """Make the banks in Redis again from the store and the seed, byte for byte."""
    if is_child:
        exit_with_parent()
    configure_logs("trainer", read_settings(TelemetrySettings))
    config, redis = load_line(line), read_settings(RedisSettings)
    from trainer.jobs.worker import rebuild_bank

    banks = dict(pair.split(":", 1) for pair in known or []) if is_child else None
    for name in product or list(config.products):
        with _bar(shown=not is_child) as on_progress:
            manifest = rebuild_bank(config, name, banks, redis, on_progress)
        if is_child:
            print(json.dumps([manifest.digest, manifest.normals_digest]), flush=True)
            continue
        text = (
            f"{name}: bank v{manifest.version}, {manifest.entries} pseudo-anomalies, sha256 {manifest.digest}"
        )
        PlainConsole(soft_wrap=True).print(text)


app.command()(
    config_command(
        TrainerSettings,
        KafkaSettings,
        RedisSettings,
        TritonSettings,
        SigningSettings,
        KubernetesSettings,
        TelemetrySettings,
    )
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)


def _grid_of(size: int | None, grid: str | None, data: Path) -> Grid:
    """Return the grid that the two options give together, or that of the good parts in ``data``; raises
    InvalidConfiguration when both are there.
    """
    if size is not None and grid is not None:
        raise InvalidConfiguration("--size and --grid are both given: --size is the short form, keep one")
    if grid is not None:
        return grid_option("--grid", grid)
    if size is not None:
        return Grid.square(size)
    from trainer.data.normals import folder_files

    return grid_of(folder_files(data))


def _carry_out_fit(order: "FolderOrder", settings: TrainerSettings) -> None:
    """Fit and tell; under torchrun process 0 does both, and the others help it train."""
    from trainer.adversarial import distributed
    from trainer.folder import fit_folder, help_fit
    from trainer.jobs.build import BuildContext
    from trainer.jobs.native_sight import sight_of

    with distributed.joined(), _bar(shown=distributed.rank() == 0) as on_progress:
        context = BuildContext(order.out, on_progress, SystemClock())
        if distributed.rank():
            help_fit(order, context)
            return
        card, notes = fit_folder(order, context)
    console = PlainConsole(soft_wrap=True)
    for name, value in sorted(card.figures.items()):
        console.print(f"{name:32} {value:.6g}")
    for note in notes:
        console.print(styled(("note", "yellow"), f": {note}"))
    console.print(f"package: {order.out}")
    sight = sight_of(card.figures)
    modest = None if sight is None else modest_note(sight)
    if modest is not None:
        console.print(styled(("note", "yellow"), f": {modest}"))
    reason = None if sight is None else blind_reason(sight)
    if reason is not None:
        console.print(styled(("this model sees next to nothing", "bold red"), f": {reason}. {_FINER}"))
        raise typer.Exit(EXIT_FAILED)


def _labelled(line: Path, product: str, data: Path, out: Path) -> tuple[Path, ...]:
    """Return pictures of what people on a line have labelled as defects of a product."""
    from trainer.planner.line_labels import LabelsOf, labelled_defects

    trusted = read_trusted(read_settings(SigningSettings))
    return labelled_defects(LabelsOf(load_line(line), product, trusted), data, out)


def _limit_threads(count: int) -> None:
    """Before torch is imported: so many threads, which sleep and do not spin while they wait for another.

    On two busy cores a step of two threads took 1.7 to 4.3 s of CPU, and of one thread 0.4 (small nets wait
    for one another more than they compute).
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(count))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End without ceremony: the first process of a container is not ended by a signal that it ignores, and a
    checkpoint is whole at every moment.
    """
    os._exit(128 + number)


@contextmanager
def _bar(shown: bool = True) -> Iterator[ReportProgress]:
    """Show a progress bar a phase, with the time left; where nobody watches, a line now and then."""
    columns = (
        TextColumn("{task.description:>10}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
    )
    console = PlainConsole(file=sys.stderr)
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:
        tasks: dict[str, int] = {}
        lines = ProgressLines(SystemClock())

        def on_progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total)
            progress.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]
            line = lines.line(phase, done, total)
            if shown and not console.is_terminal and line is not None:
                print(line, file=sys.stderr, flush=True)

        yield on_progress
