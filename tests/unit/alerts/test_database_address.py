"""PostgreSQL on another machine is known and encrypted, or a setting says that it need not be."""

import pytest
from pydantic import SecretStr, ValidationError

from alerts.config import AlertsSettings

STAYS_HERE = [
    "sqlite:///var/alerts.db",
    "postgresql+psycopg://u:word@127.0.0.1:5432/line",
    "postgresql+psycopg://u:word@localhost/line",
    "postgresql+psycopg://u:word@[::1]:5432/line",
    "postgresql+psycopg://u@/line?host=/var/run/postgresql",
    "postgresql+psycopg://u@/line",
    "postgresql+psycopg://u:word@db.plant/line?sslmode=verify-full",
    "postgresql+psycopg://u@/line?host=db-1:5432&host=db-2:5432&sslmode=verify-full",
]
LEAVES = [
    "postgresql+psycopg://u:word@db.plant/line",
    "postgresql+psycopg://u@db.plant/line",
    "postgresql+psycopg://u:word@db.plant/line?sslmode=require",
    "postgresql+psycopg://u:word@db.plant/line?sslmode=verify-ca&sslrootcert=/ca.pem",
    "postgresql+psycopg://u:word@127.0.0.1/line?hostaddr=10.0.0.9",
    "postgresql+psycopg://u:word@/line?host=127.0.0.1&host=db.plant",
    "postgresql+psycopg://u:word@/line?host=127.0.0.1:5432,db.plant:5432",
    "postgresql+psycopg:///line?service=plant",
]


@pytest.mark.parametrize("address", STAYS_HERE)
def test_what_leaves_no_machine_or_is_encrypted_is_taken(address: str) -> None:
    assert AlertsSettings(database=SecretStr(address)).database.get_secret_value() == address


@pytest.mark.parametrize("address", LEAVES)
def test_what_would_go_in_clear_or_to_anybody_is_refused_and_says_what_to_do(address: str) -> None:
    with pytest.raises(ValidationError, match="sslmode=verify-full") as refused:
        AlertsSettings(database=SecretStr(address))
    assert "word" not in str(refused.value)
    assert AlertsSettings(database=SecretStr(address), allow_clear_database=True).allow_clear_database


def test_the_password_of_the_mail_server_is_not_given_in_clear() -> None:
    mail = {"mail_host": "mail.plant", "mail_security": "none", "mail_password": SecretStr("word")}
    with pytest.raises(ValidationError, match="ALERTS_MAIL_PASSWORD would go over the network in clear"):
        AlertsSettings.model_validate(mail)
    for change in ({"mail_host": "127.0.0.1"}, {"mail_security": "tls"}, {"allow_clear_mail": True}):
        assert AlertsSettings.model_validate(mail | change).mail_password is not None
    assert AlertsSettings.model_validate({"mail_host": "mail.plant", "mail_security": "none"}).mail_host
