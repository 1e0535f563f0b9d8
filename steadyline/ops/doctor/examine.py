"""Run all checks in order: certificates, the servers, then whatever needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import SteadylineError
from steadyline.kafka.broker import Broker
from steadyline.kafka.model_events import read_seal
from steadyline.kafka.model_orders import EventSource
from steadyline.line import Line, TopicSection
from steadyline.ops.doctor.certificates import look_at_certificates
from steadyline.ops.doctor.clocks import clock_topic, judge_clock, read_broker_clock, read_clock
from steadyline.ops.doctor.events import look_at_events
from steadyline.ops.doctor.finding import Report
from steadyline.ops.doctor.serving import look_at_live_model, look_at_server
from steadyline.ops.doctor.storage import judge_memory, look_at_bank, look_at_store
from steadyline.ops.doctor.topics import judge_version, look_at_prefix, look_at_topics
from steadyline.settings import SigningSettings
from steadyline.store import Store
from steadyline.telemetry.certificates import CertificateFile
from steadyline.triton import TritonClient

NO_LINE = "no line file: name one by --line"
KAFKA = "`make up`, or set KAFKA_BOOTSTRAP_SERVERS (and KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_*); see its log"
REDIS = "`make up`, or set REDIS_URL; see its log"
STORE = "free disk space, or mend the address, the permissions or the credentials (AWS_*) of the line's store"
STORE_WITHIN = timedelta(seconds=5)  # of each call: who waits for a finding is told within six


@dataclass(frozen=True, slots=True)
class DoctorDependencies:
    """The servers, the clock and the line, if there is one; ``may_write`` allows probes to be written, and
    ``certificates`` are the files that the settings name.
    """

    broker: Broker
    bank: RedisBank
    triton: TritonClient
    has_key: bool
    clock: Clock
    line: Line | None
    keys: SigningSettings
    may_write: bool
    certificates: Sequence[CertificateFile] = ()


def examine(around: DoctorDependencies) -> Report:
    """Run all checks; a failed check is a finding and never raises."""
    report = Report()
    look_at_certificates(around.certificates, around.clock.now(), report)
    events = _kafka(around, report)
    has_redis = _redis(around, report)
    has_triton = look_at_server(around.triton, around.has_key, report)
    if around.line is None:
        report.skipped("models, banks, store", NO_LINE)
        return report
    for product in around.line.products:
        event = None if events is None else events.get(product)
        if has_triton and events is not None:
            look_at_live_model(product, event, around.triton, report)
        if has_redis:
            with report.looking_at(f"bank of {product}", REDIS):
                look_at_bank(product, around.bank, event, report)
    _store(around.line, around.may_write, report)
    return report


def _kafka(around: DoctorDependencies, report: Report) -> dict[str, ModelEvent] | None:
    """Check the broker, its topics and its clock; return the products' events, or None without a broker."""
    broker, line = around.broker, around.line
    try:
        broker.describe_topics([])
    except SteadylineError as error:
        report.failed("Kafka", f"{error.reason}: {error}", KAFKA)
        return None
    report.ok("Kafka", "answers")
    place = line.topics if line is not None else TopicSection()
    if around.may_write:
        with report.looking_at("clock of Kafka", KAFKA):
            own = clock_topic(place.prefix, place.replication)
            judge_clock("Kafka", read_broker_clock(broker, own, around.clock), report)
    else:
        report.skipped("clock of Kafka", "--read-only: a message would have to be written")
    if line is None:
        report.skipped("topics", NO_LINE)
        return {}
    topics = line.kafka_topics()
    with report.looking_at("topics", KAFKA):
        there = look_at_topics(topics, broker, report)
        judge_version(broker.version(), broker.replicas(list(there)), report)
        if topics.camera_status.name in there:
            look_at_prefix(line, broker, around.clock, report)
        if topics.model_events.name in there:
            seal = read_seal(line.line, around.keys)
            return look_at_events(EventSource(broker, topics.model_events, seal), report)
    return {}


def _redis(around: DoctorDependencies, report: Report) -> bool:
    try:
        memory = around.bank.memory()
    except SteadylineError as error:
        report.failed("Redis", f"{error.reason}: {error}", REDIS)
        return False
    report.ok("Redis", "answers")
    judge_memory(memory, report)
    with report.looking_at("clock of Redis", REDIS):
        judge_clock("Redis", read_clock(around.bank.server_time, around.clock), report)
    return True


def _store(line: Line, may_write: bool, report: Report) -> None:
    if not may_write:
        report.skipped("store", "--read-only: an object would have to be written")
        return
    with report.looking_at("store", STORE):
        look_at_store(Store(line.store, STORE_WITHIN, line.store_in_clear), report)
