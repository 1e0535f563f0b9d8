"""``steadyline demo``: the whole product on one machine, real servers, real frames, an account at the end."""

from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.servers import checkout, existing_servers
from steadyline.datasets.elpv import import_elpv
from steadyline.demo.finish import show, summarise
from steadyline.demo.plan import DemoPlan
from steadyline.demo.promises import broken_promises, late
from steadyline.demo.run import Demonstration, prepare_folders, write_summary
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import DEFAULT_DETECTOR
from steadyline.servers import LocalStack, StackPaths
from steadyline.service import EXIT_FAILED
from steadyline.settings import KafkaSettings
from steadyline.stop_signals import exit_on_term
from steadyline.terminal import PlainConsole

SIZE = 64


def command(
    data: Annotated[
        Path | None, typer.Option(help="Folder in MVTec layout; by default the ELPV set.")
    ] = None,
    home: Annotated[Path, typer.Option(help="Folder that everything is written to.")] = Path("var/demo"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the line running until Ctrl-C, then show the account.")
    ] = False,
    fps: Annotated[
        float, typer.Option(min=0.1, help="Frames per second of each of the three cameras.")
    ] = 4.0,
    steps: Annotated[int, typer.Option(min=10, help="Steps of each training.")] = 260,
    detector: Annotated[str, typer.Option(help="Detector that gives score and verdict.")] = DEFAULT_DETECTOR,
    map_detector: Annotated[
        str | None,
        typer.Option(
            "--map-detector", help="Second detector, for the map; by default the first one gives it too."
        ),
    ] = None,
    normals: Annotated[int, typer.Option(min=10, help="Normals that the first training gets.")] = 200,
) -> None:
    """Show three cameras, two trainings and one swap; at the end, the account of every frame."""
    console = PlainConsole()
    plan = DemoPlan(
        home.resolve(),
        data=data,
        fps=fps,
        first_normals=normals,
        detector=detector,
        map_detector=map_detector,
        steps=steps,
        keep=keep,
    )
    run_demo(plan, console)


def run_demo(plan: DemoPlan, console: PlainConsole) -> None:
    """Run it; exit status 1 when the summary is not as promised: of the account, or of alerts."""
    dataset = plan.data if plan.data is not None else elpv(plan.dataset, console)
    split = prepare_folders(plan, dataset)
    for sentence in split.left_out:
        console.print(sentence)
    paths = StackPaths.of_checkout(plan.home / "servers", checkout())
    console.print("starting Kafka, Redis and Triton")
    with exit_on_term(), LocalStack(paths, existing=existing_servers(), fresh=True) as stack:
        environment = stack.addresses.environment()
        settings = KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap)
        broker = KafkaBroker(settings, "demo")
        try:
            demonstration = Demonstration(plan, broker, environment, console, stack.check)
            outcome = demonstration.run(split, SIZE)
            console.print("evaluating both versions on the held-out frames")
            summary = summarise(plan, outcome, environment)
        finally:
            broker.close()
    write_summary(plan.summary, summary)
    show(summary, console)
    for sentence in late(summary):
        console.print(f"late, on a busy or a slow machine: {sentence}", soft_wrap=True)
    broken = broken_promises(summary)
    for sentence in broken:
        console.print(f"not as promised: {sentence}", soft_wrap=True)
    if broken:
        raise typer.Exit(EXIT_FAILED)


def elpv(folder: Path, console: PlainConsole) -> Path:
    """Lay out the ELPV cells from their PyPI package (non-commercial licence), once."""
    if not (folder / "test").is_dir():
        console.print("laying out the ELPV cells (CC BY-NC-SA 4.0: not for commercial use)")
        import_elpv(folder)
    return folder
