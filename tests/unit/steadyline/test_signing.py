"""What is signed is believed to the bit, and by nobody's key but a trusted one."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from steadyline.errors import InvalidConfiguration, PoisonMessage, UnsignedMessage, WrongSignature
from steadyline.kafka.model_events import read_seal
from steadyline.settings import SigningSettings
from steadyline.signing import PRIVATE, PUBLIC, Signer, TrustedKeys, signed_text, write_pair

SIGNER, OTHER = Signer.new(), Signer.new()
TRUSTED = TrustedKeys.parse(SIGNER.public_pem())


def of_another_kind() -> tuple[str, str]:
    """Return a private and a public key that are PEM and no ed25519."""
    key = generate_private_key(SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@given(st.binary(max_size=50))
def test_what_was_signed_is_believed_and_nothing_else(what: bytes) -> None:
    signature = SIGNER.sign(what)
    TRUSTED.check(what, signature)
    for other in (what + b"\0", what[:-1] if what else b"x"):
        with pytest.raises(WrongSignature):
            TRUSTED.check(other, signature)


@pytest.mark.parametrize("signature", [None, ""])
def test_without_a_signature_nothing_is_believed_once_a_key_is_trusted(signature: str | None) -> None:
    TrustedKeys().check(b"x", signature)
    with pytest.raises(UnsignedMessage):
        TRUSTED.check(b"x", signature)


@given(st.text(max_size=120))
def test_no_text_is_a_signature(text: str) -> None:
    for signature in (text, f"{SIGNER.key_id}:{text}"):
        with pytest.raises(PoisonMessage):
            TRUSTED.check(b"x", signature)


def test_a_key_that_is_not_trusted_signs_nothing_not_even_under_the_name_of_one_that_is() -> None:
    foreign = OTHER.sign(b"x")
    for signature in (foreign, foreign.replace(OTHER.key_id, SIGNER.key_id)):
        with pytest.raises(WrongSignature):
            TRUSTED.check(b"x", signature)


def test_two_keys_are_trusted_while_one_takes_the_place_of_the_other() -> None:
    both = TrustedKeys.parse(SIGNER.public_pem() + "\n" + OTHER.public_pem())
    for signer in (SIGNER, OTHER):
        both.check(b"x", signer.sign(b"x"))


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_parts_are_never_signed_as_the_same_text(one: list[bytes], other: list[bytes]) -> None:
    assert (signed_text("k", *one) == signed_text("k", *other)) == (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "x", SIGNER.private_pem(), of_another_kind()[1], SIGNER.public_pem() + "rubbish",
     SIGNER.public_pem().replace("MCowBQ", "AAAAAA")],
)  # fmt: skip
def test_what_is_no_public_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="STEADYLINE_TRUSTED_KEYS") as caught:
        TrustedKeys.parse(text)
    assert "rubbish" not in str(caught.value)


def test_a_private_key_among_those_to_trust_is_called_what_it_is() -> None:
    for text in (SIGNER.private_pem(), SIGNER.public_pem() + SIGNER.private_pem(), of_another_kind()[0]):
        with pytest.raises(InvalidConfiguration, match="holds a private key, which is the trainer's alone"):
            TrustedKeys.parse(text)


@pytest.mark.parametrize("text", ["", "x", SIGNER.public_pem(), of_another_kind()[0]])
def test_what_is_no_private_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="STEADYLINE_SIGNING_KEY is no private") as caught:
        Signer.parse(text)
    assert len(text) < 2 or text.splitlines()[1] not in str(caught.value)


def test_a_pair_is_written_once_and_its_private_half_is_for_its_owner_alone(tmp_path: Path) -> None:
    signer = write_pair(tmp_path / "keys")
    private, public = tmp_path / "keys" / PRIVATE, tmp_path / "keys" / PUBLIC
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    signed = Signer.parse(private.read_text()).sign(b"x")
    TrustedKeys.parse(public.read_text()).check(b"x", signed)
    with pytest.raises(InvalidConfiguration, match="is there already"):
        write_pair(tmp_path / "keys")
    assert Signer.parse(private.read_text()).key_id == signer.key_id


def test_a_trainer_that_would_not_believe_itself_does_not_start() -> None:
    mine = SigningSettings(
        signing_key=SecretStr(SIGNER.private_pem()), trusted_keys=SIGNER.public_pem() + OTHER.public_pem()
    )
    signer = read_seal("line-1", mine, signs=True).signer
    assert signer is not None
    assert signer.key_id == SIGNER.key_id
    assert read_seal("line-1", mine).signer is None, "a reader has no use for the private key"
    for wrong in (
        SigningSettings(trusted_keys=SIGNER.public_pem()),
        SigningSettings(signing_key=SecretStr(OTHER.private_pem()), trusted_keys=SIGNER.public_pem()),
    ):
        with pytest.raises(InvalidConfiguration, match="nobody would believe this trainer"):
            read_seal("line-1", wrong, signs=True)
