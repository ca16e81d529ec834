"""Parts that are sealed many at a time are what `seal_part` gives for each, and open like it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.envelope import PartName, contexts_of_new, open_part, seal_new_parts, seal_part
from ringfence.core.errors import IntegrityError

CIPHER = AESGCM(bytes(range(32)))
SUBJECT = b"subject---------"
KEYS = [bytes([number]) * 16 for number in range(3)]
TEXTS = [b"", b"one", b"two" * 100]
NONCES = bytes(range(36))
DATASETS = ["posts", "watched", "posts"]
CONTEXTS = contexts_of_new(DATASETS, SUBJECT, "public", KEYS)


def seal() -> list[bytes]:
    return seal_new_parts(CIPHER, contexts=CONTEXTS, plaintexts=TEXTS, nonces=NONCES)


def test_many_parts_are_sealed_as_each_alone_is() -> None:
    alone = [
        seal_part(
            CIPHER,
            PartName(dataset, SUBJECT, key, "public"),
            version=1,
            plaintext=text,
            nonce=NONCES[12 * place : 12 * place + 12],
        )
        for place, (dataset, key, text) in enumerate(zip(DATASETS, KEYS, TEXTS, strict=True))
    ]
    assert seal() == alone


def test_each_opens_under_its_own_name_and_first_version_alone() -> None:
    for dataset, key, text, sealed in zip(DATASETS, KEYS, TEXTS, seal(), strict=True):
        name = PartName(dataset, SUBJECT, key, "public")
        assert open_part(CIPHER, name, version=1, sealed=sealed) == text
        with pytest.raises(IntegrityError):
            open_part(CIPHER, name, version=2, sealed=sealed)
        with pytest.raises(IntegrityError):
            open_part(CIPHER, name._replace(record_key=b"another---------"), version=1, sealed=sealed)


@pytest.mark.parametrize(
    ("contexts", "texts", "nonces"),
    [(CONTEXTS[:2], TEXTS, NONCES), (CONTEXTS, TEXTS[:2], NONCES), (CONTEXTS, TEXTS, NONCES[:24])],
)
def test_as_many_contexts_as_plaintexts_and_nonces_are_wanted(
    contexts: list[bytes], texts: list[bytes], nonces: bytes
) -> None:
    with pytest.raises(ValueError, match="zip"):
        seal_new_parts(CIPHER, contexts=contexts, plaintexts=texts, nonces=nonces)


def test_as_many_datasets_as_records_are_wanted() -> None:
    with pytest.raises(ValueError, match="zip"):
        contexts_of_new(DATASETS[:2], SUBJECT, "public", KEYS)
