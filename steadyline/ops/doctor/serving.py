"""Check that the models in service are loaded, are ready, and still give their known answers."""

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import SteadylineError
from steadyline.inference import ModelRef
from steadyline.ops.doctor.finding import Report
from steadyline.parity import check_parity
from steadyline.probe import probe
from steadyline.triton import TritonClient

LOAD = (
    "the trainer loads the live model when it starts: is it running, and does its TRITON_REPOSITORY name the "
    "folder that Triton reads?"
)


def look_at_server(client: TritonClient, has_key: bool, report: Report) -> bool:
    """Check that Triton answers, and list its repository when the key is set; return whether it answers."""
    try:
        client.verify()
    except SteadylineError as error:
        report.failed("Triton", f"{error.reason}: {error}", "`make up`, or set TRITON_URL; see its log")
        return False
    if not has_key:
        report.ok("Triton", "ready")
        report.skipped("Triton's repository", "TRITON_ADMIN_KEY is not set: it cannot be listed")
        return True
    with report.looking_at("Triton's repository", "set TRITON_ADMIN_KEY to the key Triton was started with"):
        entries = client.index()
        states = [f"{entry.name} {entry.version}: {entry.state}" for entry in entries]
        report.ok("Triton", f"ready; {', '.join(states) or 'no model yet'}")
    return True


def look_at_live_model(product: str, event: ModelEvent | None, client: TritonClient, report: Report) -> None:
    """Compare what the events call live with what Triton serves, and check its known answers."""
    check = f"live model of {product}"
    model = event.live() if event is not None else None
    if model is None:
        report.skipped(check, "no model is live yet: the trainer makes the first one")
        return
    if not client.is_ready(ModelRef(product, model.version)):
        report.failed(check, f"version {model.version} is live by its event and not ready in Triton", LOAD)
        return
    try:
        probe(product, model, client)
        check_parity(product, model, client)
    except SteadylineError as error:
        report.failed(
            check,
            f"{error.reason}: {error}",
            "load it again (`steadyline models rollback`, or restart the trainer)",
        )
        return
    report.ok(check, f"version {model.version} gives its {len(model.probes)} known answers")
