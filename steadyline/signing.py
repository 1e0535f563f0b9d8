"""Signatures by which readers know that the trainer wrote something; ed25519, keys as PEM.

Nothing is checked as long as a reader trusts no key. Once it trusts one, what is not signed by a trusted key
is refused.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, UnsignedMessage, WrongSignature
from steadyline.replace_file import replace_file
from steadyline.settings import SigningSettings

PRIVATE, PUBLIC = "signing.pem", "trusted.pem"  # the files of a pair

_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_MAKE = "`steadyline keys new` makes a pair"


class Signer:
    """The private key of a trainer."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @staticmethod
    def new() -> "Signer":
        """Return a new key."""
        return Signer(Ed25519PrivateKey.generate())

    @staticmethod
    def parse(text: str) -> "Signer":
        """Return the key in a PEM file's text; raises InvalidConfiguration, which names no part of it."""
        try:
            key = load_pem_private_key(text.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidConfiguration(
                "STEADYLINE_SIGNING_KEY is no private ed25519 key as PEM; the path of a file is given as "
                f"STEADYLINE_SIGNING_KEY_FILE; {_MAKE}"
            )
        return Signer(key)

    @property
    def key_id(self) -> str:
        """The short name of the pair of keys, which a signature carries."""
        return key_id(self._key.public_key())

    def sign(self, what: bytes) -> str:
        """Return the signature of ``what``: ``<key id>:<base64>``."""
        return f"{self.key_id}:{base64.b64encode(self._key.sign(what)).decode()}"

    def private_pem(self) -> str:
        """Return the key as PEM, not encrypted."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def public_pem(self) -> str:
        """Return what readers are given."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The public keys whose signatures are believed, by key id; none: everything is believed."""

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> "TrustedKeys":
        """Return the keys of a text with one PEM block after another; raises InvalidConfiguration."""
        if "PRIVATE KEY-----" in text:
            raise InvalidConfiguration(
                f"STEADYLINE_TRUSTED_KEYS holds a private key, which is the trainer's alone: give {PUBLIC}"
            )
        blocks = _PUBLIC.findall(text)
        if not blocks or _PUBLIC.sub("", text).strip():
            raise InvalidConfiguration(
                "STEADYLINE_TRUSTED_KEYS is no list of public keys as PEM; the path of a file is given as "
                f"STEADYLINE_TRUSTED_KEYS_FILE; {_MAKE}"
            )
        found: dict[str, Ed25519PublicKey] = {}
        for block in blocks:
            try:
                key = load_pem_public_key(block.encode())
            except (ValueError, UnsupportedAlgorithm):
                key = None
            if not isinstance(key, Ed25519PublicKey):
                raise InvalidConfiguration(f"STEADYLINE_TRUSTED_KEYS holds what is no ed25519 key: {_MAKE}")
            found[key_id(key)] = key
        return TrustedKeys(found)

    @property
    def is_set(self) -> bool:
        """True when signatures are checked."""
        return bool(self.keys)

    def check(self, what: bytes, signature: str | None) -> None:
        """Raise UnsignedMessage or WrongSignature unless a trusted key signed ``what``, or none is set."""
        if not self.is_set:
            return
        if not signature:
            raise UnsignedMessage("there is no signature, and a trusted key is set")
        name, _, encoded = signature.partition(":")
        key = self.keys.get(name)
        if key is None:
            raise WrongSignature(f"the key {name[:16]!r} is not trusted")
        try:
            signature_bytes = base64.b64decode(encoded, validate=True)
            if base64.b64encode(signature_bytes).decode() != encoded:
                raise ValueError("the last character has bits that say nothing")
            key.verify(signature_bytes, what)
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise WrongSignature(f"the signature is not the one that the key {name} gives") from error


NO_KEYS = TrustedKeys()


def key_id(key: Ed25519PublicKey) -> str:
    """Return the short name of a public key: the start of its SHA-256."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw))[:16]


def signed_text(kind: str, *parts: bytes) -> bytes:
    """Return the bytes that are signed: what kind of thing it is, and each part with its length.

    A signature of one kind, or with the border of two parts moved, is never one of another.
    """
    return b"".join(len(part).to_bytes(8, "big") + part for part in (kind.encode(), *parts))


def read_signer(settings: SigningSettings) -> Signer | None:
    """Return the key to sign with, if one is set; raises InvalidConfiguration."""
    text = settings.signing_key
    return None if text is None else Signer.parse(text.get_secret_value())


def read_trusted(settings: SigningSettings) -> TrustedKeys:
    """Return the keys to trust, none when none is set; raises InvalidConfiguration."""
    return NO_KEYS if settings.trusted_keys is None else TrustedKeys.parse(settings.trusted_keys)


def write_pair(out: Path) -> Signer:
    """Write a new pair of keys to a folder and return it.

    Raises InvalidConfiguration when a key is there already, because events are signed with it, or when the
    folder cannot be written.
    """
    signer = Signer.new()
    files = {PRIVATE: (signer.private_pem(), 0o600), PUBLIC: (signer.public_pem(), 0o644)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in files:
            if (out / name).exists():
                raise InvalidConfiguration(f"{out / name} is there already: choose another folder")
        for name, (text, mode) in files.items():
            replace_file(out / name, text.encode(), sync=True, mode=mode)
    except OSError as error:
        raise InvalidConfiguration(f"{out} cannot be written: {error.strerror}") from error
    return signer
