"""Settings as people write them: exit 2, one line with the variable and the mend, no stack, no secret."""

import codecs
from pathlib import Path

import pytest

from producers.cli import main
from steadyline.line import load_line
from steadyline.service import EXIT_OK, EXIT_USAGE, config_command, run, service_application
from steadyline.settings import (
    KafkaSettings,
    RedisSettings,
    SigningSettings,
    TelemetrySettings,
    read_settings,
)
from steadyline.signing import Signer, TrustedKeys

SECRET = ("hunter", "2secret", "p4ss")
LINE = "line: cells\nproducts:\n  cell: {}\n"


def config(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a service's ``config`` with the present environment; return its status and all it printed."""
    app = service_application("example", "An example.")
    app.command()(config_command(KafkaSettings, RedisSettings, TelemetrySettings))
    status = run(app, [])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


WRONG = [
    ("KAFKA_BOOTSTRAP_SERVERS", '"127.0.0.1:9092"', "quotes"),
    ("KAFKA_BOOTSTRAP_SERVERS", "'127.0.0.1:9092'", "quotes"),
    ("KAFKA_BOOTSTRAP_SERVERS", "“127.0.0.1:9092”", "quotes"),
    ("KAFKA_BOOTSTRAP_SERVERS", "\ufeff127.0.0.1:9092", "cannot be seen"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092\r", "a line end"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092 ", "a space at an end"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092\u200b", "cannot be seen"),
    ("KAFKA_BOOTSTRAP_SERVERS", "kafka://127.0.0.1:9092", "without a scheme"),
    ("KAFKA_BOOTSTRAP_SERVERS", "op:hunter2secret@127.0.0.1:9092", "a user"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:99092", "1 to 65535"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:0", "1 to 65535"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092;10.0.0.2:9092", "host:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092,,b:1", "host:port"),
    ("KAFKA_BOOTSTRAP_SERVERS", "", "host:port"),
    ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl ", "a space at an end"),
    ("KAFKA_SECURITY_PROTOCOL", "TLS", "SASL_SSL"),
    ("KAFKA_SASL_USERNAME", "hunter2secret", "KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
    ("KAFKA_SASL_PASSWORD", "hunter2secret", "set it to SASL_SSL"),
    ("KAFKA_SASL_PASSWORD", '"hunter2secret"', "KAFKA_SASL_PASSWORD_FILE"),
    ("KAFKA_SASL_PASSWORD_FILE", "hunter2secret", "cannot be read"),
    ("KAFKA_SASL_MECHANISM", "GSSAPI", "SCRAM-SHA-512"),
    ("KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem", "does not point to a file"),
    ("REDIS_URL", "127.0.0.1:6379", "begin with redis:// or rediss://"),
    ("REDIS_URL", "http://:hunter2secret@h:6379", "begin with redis:// or rediss://"),
    ("REDIS_URL", "redis://:hunter/2secret@h:6379/0", "%2F"),
    ("REDIS_URL", "redis://:hunter#2secret@h:6379/0", "%23"),
    ("REDIS_URL", "redis://:hunter?2secret@h:6379/0", "%3F"),
    ("REDIS_URL", "redis://:hunter@2secret@h:6379/0", "%40"),
    ("REDIS_URL", "redis://:hunter%2secret@h:6379/0", "%25"),
    ("REDIS_URL", "redis://:hunter2secret@h:637999/0", "1 to 65535"),
    ("REDIS_URL", "redis://h:hunter2secret", "cannot be read"),
    ("REDIS_URL", "rediss://h:6379/0?ssl_cert_reqs=none", "no ssl_… option"),
    ("REDIS_URL", "rediss://h:6379/0?db=0&%73sl_cert_reqs=none", "no ssl_… option"),
    ("REDIS_URL", "rediss://h:6379/0?SSL_check_hostname=False", "no ssl_… option"),
    ("REDIS_URL", "redis://op:hunter2secret@h:6379/0", "REDIS_ALLOW_CLEAR_PASSWORD to true"),
    ("REDIS_URL", "redis://h:6379/0?password=hunter2secret", "let it begin with rediss://"),
    ("REDIS_TIMEOUT_SECONDS", "5s", "valid number"),
    ("STEADYLINE_HEALTH_PORT", "70000", "65535"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "http:// or https://"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://op:hunter/2secret@h:4318", "%2F"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://op:hunter2secret@h:4318", "STEADYLINE_ALLOW_CLEAR_OTLP to true"),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_a_wrong_setting_is_one_line_with_the_variable_and_the_mend(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    status, said = config(capsys)
    assert (status, said.count("\n")) == (EXIT_USAGE, 1), said
    assert name in said
    assert told in said
    assert not any(part in said for part in SECRET)


@pytest.mark.parametrize("secret", ["hunter2secret", "p4ss%2Fword", "p4ss%40%23", "p4ss:word", "p4ss&=+;"])
def test_a_secret_that_is_written_right_is_taken_and_not_shown(
    secret: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"rediss://op:{secret}@cache.plant:6379/0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://op:{secret}@traces.plant/x")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "op")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", secret)
    status, said = config(capsys)
    assert status == EXIT_OK
    assert not any(part in said for part in SECRET)


STAYS_HERE = [
    {"REDIS_URL": "redis://op:word@127.0.0.1:6379/0"},
    {"REDIS_URL": "redis://op:word@localhost/0"},
    {"REDIS_URL": "redis://:word@[::1]:6379/0"},
    {"REDIS_URL": "unix://op:word@/run/redis.sock"},
    {"REDIS_URL": "redis://cache.plant:6379/0"},
    {"REDIS_URL": "redis://op:word@cache.plant:6379/0", "REDIS_ALLOW_CLEAR_PASSWORD": "true"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://op:word@127.0.0.1:4318"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://op:word@traces:4318", "STEADYLINE_ALLOW_CLEAR_OTLP": "true"},
]


@pytest.mark.parametrize("environment", STAYS_HERE)
def test_a_secret_that_leaves_no_machine_or_is_allowed_to_is_taken(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status, said = config(capsys)
    assert status == EXIT_OK, said


def test_sasl_needs_a_user_and_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "op")
    status, said = config(capsys)
    assert status == EXIT_USAGE
    assert "KAFKA_SASL_PASSWORD" in said


@pytest.mark.parametrize(
    "content",
    [b"p4ss word\n", b"p4ss word\r\n", b"p4ss word", codecs.BOM_UTF8 + b"p4ss word\n", b"p4ss word\n\n"],
)
def test_a_secret_file_may_end_and_begin_as_editors_write_it(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "op")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    password = read_settings(KafkaSettings).sasl_password
    assert password is not None
    assert password.get_secret_value() == "p4ss word"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "Is a directory"),
        ("p4ss wörd".encode("latin-1"), "no UTF-8 in line 1"),
        ("p4ss word".encode("utf-16"), "UTF-16"),
        ("p4ss word".encode("utf-16-le"), "UTF-16"),
        (b"\x7fELF\0\1p4ss", "no text"),
        (b"p4ss\nword", "more than one line"),
        (b"p4ss\x1bword", "cannot be seen"),
    ],
)
def test_a_file_that_holds_no_value_is_named_by_its_variable(
    content: bytes | None,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "secret"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(file))
    status, said = config(capsys)
    assert (status, said.count("\n")) == (EXIT_USAGE, 1), said
    assert "KAFKA_SASL_PASSWORD_FILE" in said
    assert told in said
    assert not any(part in said for part in SECRET)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LINE.encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("line: cells # für Zellen\n".encode("latin-1"), "no UTF-8 in line 1: save it as UTF-8"),
        (b"line: cells\0\n", "no text in UTF-8"),
        (b"line: cells\x1b\n", "no valid YAML"),
        (b"line: 2026-13-01\n", "write the value in quotes"),
        (b"line: 0x_\n", "write the value in quotes"),
        (b"? [a]\n: b\n", "no valid YAML"),
        (b"\xef\xbb\xbf", "file: "),
        (LINE.encode() + b"store: 's3://op:hunter2secret@bucket'\n", "store: no user, password or token"),
        (LINE.encode() + b"store: 's3://op:hunter2secret'\n", "store: no user, password or token"),
        (LINE.encode() + b"store: 'sftp://h:22/x?password=p4ss'\n", "store: no user, password or token"),
        (LINE.encode() + b"store: \"'file://x'\"\n", "store: "),
        (None, "Is a directory"),
    ],
)
def test_a_line_file_that_cannot_be_read_is_one_line_with_the_mend(
    content: bytes | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "line.yaml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    status = main(["run", "--line", str(file)])
    said = capsys.readouterr().err
    assert (status, "Traceback" in said) == (EXIT_USAGE, False), said
    assert "line.yaml" in said
    assert told in said.replace("\n", "")
    assert not any(part in said for part in SECRET)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "  \n", " \r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_marks_and_line_ends_of_other_systems_change_nothing(
    line_end: str, mark: bytes, tmp_path: Path
) -> None:
    (tmp_path / "line.yaml").write_bytes(mark + LINE.replace("\n", line_end).encode())
    assert list(load_line(tmp_path / "line.yaml").products) == ["cell"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["variable", "file"])
def test_keys_of_several_lines_are_taken(
    form: str, line_end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signers = Signer.new(), Signer.new()
    texts = {
        "STEADYLINE_SIGNING_KEY": signers[0].private_pem(),
        "STEADYLINE_TRUSTED_KEYS": "".join(signer.public_pem() for signer in signers),
    }
    for name, text in texts.items():
        written = text.replace("\n", line_end)
        if form == "file":
            path = tmp_path / name
            path.write_bytes(written.encode())
            monkeypatch.setenv(f"{name}_FILE", str(path))
        else:
            monkeypatch.setenv(name, written.rstrip("\r\n"))
    settings = read_settings(SigningSettings)
    assert settings.signing_key is not None
    assert settings.trusted_keys is not None
    assert Signer.parse(settings.signing_key.get_secret_value()).key_id == signers[0].key_id
    assert set(TrustedKeys.parse(settings.trusted_keys).keys) == {signer.key_id for signer in signers}
