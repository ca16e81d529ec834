"""Signatures of people: by one key, over the very bytes, for one purpose; every other one is refused by name."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.statement import APPROVE, PROPOSE
from ringfence.core.people.signatures import (
    ARMOUR_SIZE_BYTES_MAX,
    SIGNATURE_SIZE_BYTES_MAX,
    add_armour,
    read_signature,
    remove_armour,
    sign_message,
    verify_signature,
)
from tests.core.mutation import mutated
from tests.core.people.ssh_keys import (
    FILE_ALGORITHM,
    HARDWARE_ALGORITHM,
    USER_PRESENT,
    USER_VERIFIED,
    file_key,
    hardware_key,
    private_key,
    sign_in_hardware,
    signed_bytes,
    ssh_signature,
    wire,
)

MESSAGE = b'{"statement":"ringfence/1"}'
NAMESPACE = APPROVE.encode()
IN_FILE = sign_message(MESSAGE, namespace=APPROVE, key=private_key(1))
IN_HARDWARE = sign_in_hardware(1, MESSAGE, namespace=NAMESPACE)
BOTH = [(IN_FILE, file_key(1)), (IN_HARDWARE, hardware_key(1))]
ORDER_OF_THE_GROUP = 2**252 + 27742317777372353535851937790883648493


def refused(
    signature: bytes, match: str | None = None, *, message: bytes = MESSAGE, namespace: str = APPROVE, key: bytes
) -> None:
    with pytest.raises(ProofInvalidError, match=match):
        verify_signature(signature, message, namespace=namespace, key=key)


def by_file(raw: bytes) -> bytes:
    """Give a signature by the first key whose 64 bytes are these."""
    return ssh_signature(file_key(1), wire(FILE_ALGORITHM, raw), namespace=NAMESPACE)


@pytest.mark.parametrize(("signature", "key"), BOTH)
def test_signature_holds_for_its_bytes_key_and_namespace_and_for_no_other(signature: bytes, key: bytes) -> None:
    verify_signature(signature, MESSAGE, namespace=APPROVE, key=key)

    refused(signature, "not over these bytes", message=MESSAGE + b" ", key=key)
    refused(signature, "not over these bytes", message=b"", key=key)
    refused(signature, "says something else", namespace=PROPOSE, key=key)
    refused(signature, "says something else", namespace="", key=key)
    refused(signature, "by another key", key=file_key(2))
    refused(signature, "by another key", key=hardware_key(2))


def test_key_in_a_file_and_one_in_hardware_are_two_keys_even_with_the_same_point() -> None:
    refused(IN_FILE, "by another key", key=hardware_key(1))
    refused(IN_HARDWARE, "by another key", key=file_key(1))
    refused(IN_HARDWARE, "by another key", key=hardware_key(1, b"ssh:other"))


@pytest.mark.parametrize("signature", [IN_FILE, IN_HARDWARE])
def test_namespace_is_signed_and_not_only_said(signature: bytes) -> None:
    key = read_signature(signature).key
    renamed = ssh_signature(key, read_signature(signature).inner, namespace=PROPOSE.encode())

    refused(renamed, "not over these bytes", namespace=PROPOSE, key=key)


@given(st.sampled_from(BOTH).flatmap(lambda pair: st.tuples(mutated(pair[0]), st.just(pair))))
def test_signature_with_any_byte_changed_is_refused(case: tuple[bytes, tuple[bytes, bytes]]) -> None:
    changed, (signature, key) = case
    if changed == signature:
        verify_signature(changed, MESSAGE, namespace=APPROVE, key=key)
    else:
        refused(changed, key=key)


@pytest.mark.parametrize(("signature", "key"), BOTH)
def test_every_bit_of_a_signature_counts(signature: bytes, key: bytes) -> None:
    for place in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[place // 8] ^= 1 << place % 8
        refused(bytes(flipped), key=key)


@pytest.mark.parametrize(("signature", "key"), BOTH)
def test_signature_cut_anywhere_or_continued_is_refused(signature: bytes, key: bytes) -> None:
    for size in range(len(signature)):
        refused(signature[:size], key=key)
    refused(signature + b"\0", "mean nothing", key=key)
    refused(signature * 2, "mean nothing", key=key)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"SSHSIG\0\0\0\x01" + data))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    refused(data, key=file_key(1))


@given(st.lists(st.binary(max_size=60), min_size=5, max_size=5), st.sampled_from([file_key(1), hardware_key(1)]))
def test_well_formed_strings_that_are_no_signature_are_refused(strings: list[bytes], key: bytes) -> None:
    refused(b"SSHSIG\0\0\0\x01" + wire(*strings), key=key)
    refused(ssh_signature(key, strings[0], namespace=NAMESPACE), "not of its key's algorithm", key=key)


def test_other_hash_is_refused_though_it_is_signed() -> None:
    raw = private_key(1).sign(signed_bytes(MESSAGE, NAMESPACE, hashed="sha256"))
    other = ssh_signature(file_key(1), wire(FILE_ALGORITHM, raw), namespace=NAMESPACE, hashed=b"sha256")

    refused(other, "another hash", key=file_key(1))


def test_reserved_bytes_are_refused_though_they_are_signed() -> None:
    raw = private_key(1).sign(signed_bytes(MESSAGE, NAMESPACE, reserved=b"x"))
    other = ssh_signature(file_key(1), wire(FILE_ALGORITHM, raw), namespace=NAMESPACE, reserved=b"x")

    refused(other, "mean nothing", key=file_key(1))


def test_bare_signature_over_the_message_is_no_agreement() -> None:
    verify_signature(
        by_file(private_key(1).sign(signed_bytes(MESSAGE, NAMESPACE))), MESSAGE, namespace=APPROVE, key=file_key(1)
    )

    refused(by_file(private_key(1).sign(MESSAGE)), "not over these bytes", key=file_key(1))


def test_second_form_of_the_same_signature_is_refused() -> None:
    raw = private_key(1).sign(signed_bytes(MESSAGE, NAMESPACE))
    scalar = int.from_bytes(raw[32:], "little") + ORDER_OF_THE_GROUP

    refused(by_file(raw[:32] + scalar.to_bytes(32, "little")), "not over these bytes", key=file_key(1))


def test_signature_under_a_key_that_anyone_can_sign_with_is_refused() -> None:
    weak = wire(FILE_ALGORITHM, (1).to_bytes(32, "little"))
    forged = ssh_signature(weak, wire(FILE_ALGORITHM, (1).to_bytes(32, "little") + bytes(32)), namespace=NAMESPACE)

    refused(forged, "cannot be checked", key=weak)


@pytest.mark.parametrize("flags", range(256))
def test_hardware_key_counts_only_when_it_was_touched(flags: int) -> None:
    signature = sign_in_hardware(1, MESSAGE, namespace=NAMESPACE, flags=flags)

    if flags & USER_PRESENT:
        verify_signature(signature, MESSAGE, namespace=APPROVE, key=hardware_key(1))
    else:
        refused(signature, "without anybody touching", key=hardware_key(1))


def test_touch_and_counter_of_a_hardware_key_are_signed() -> None:
    untouched = sign_in_hardware(1, MESSAGE, namespace=NAMESPACE, flags=USER_VERIFIED)
    claimed = untouched[:-5] + bytes([USER_PRESENT]) + untouched[-4:]

    refused(claimed, "not over these bytes", key=hardware_key(1))
    refused(IN_HARDWARE[:-1] + b"\x08", "not over these bytes", key=hardware_key(1))


def test_signature_of_a_file_passes_for_none_of_hardware_whatever_it_claims() -> None:
    raw = private_key(1).sign(signed_bytes(MESSAGE, NAMESPACE))
    asserted = bytes([USER_PRESENT, 0, 0, 0, 1])

    for inner in (wire(HARDWARE_ALGORITHM, raw) + asserted, wire(FILE_ALGORITHM, raw), wire(HARDWARE_ALGORITHM, raw)):
        refused(ssh_signature(hardware_key(1), inner, namespace=NAMESPACE), key=hardware_key(1))


def test_signature_tells_its_key_and_namespace_before_it_is_checked() -> None:
    read = read_signature(IN_HARDWARE)

    assert (read.key, read.namespace) == (hardware_key(1), APPROVE)


def test_long_input_is_refused_unread() -> None:
    refused(IN_FILE + bytes(SIGNATURE_SIZE_BYTES_MAX), "too long", key=file_key(1))
    with pytest.raises(ProofInvalidError, match="too long"):
        remove_armour(add_armour(IN_FILE) + b" " * ARMOUR_SIZE_BYTES_MAX)


# -- armour ------------------------------------------------------------------------------------------------------------

ARMOURED = add_armour(IN_FILE)


@given(st.binary(min_size=1, max_size=500))
def test_armour_comes_off_as_it_went_on(data: bytes) -> None:
    assert remove_armour(add_armour(data)) == data


@pytest.mark.parametrize(
    "spelling",
    [
        ARMOURED,
        IN_FILE,
        ARMOURED.replace(b"\n", b"\r\n"),
        b"\n  " + ARMOURED + b"\n\n",
        b"-----BEGIN SSH SIGNATURE-----\n"
        + b"\n".join(base64.b64encode(IN_FILE)[at : at + 76] for at in range(0, 400, 76)).strip()
        + b"\n-----END SSH SIGNATURE-----",
    ],
)
def test_armour_of_other_programs_is_read(spelling: bytes) -> None:
    assert remove_armour(spelling) == IN_FILE


@pytest.mark.parametrize(
    "spelling",
    [
        b"",
        b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        ARMOURED.replace(b"-----END SSH SIGNATURE-----", b""),
        ARMOURED.replace(b"BEGIN SSH", b"BEGIN PGP"),
        ARMOURED * 2,
        b"x" + ARMOURED,
        ARMOURED + b"x",
        ARMOURED.replace(b"\n-----END", b"!\n-----END"),
        ARMOURED.replace(b"\n-----END", b"=\n-----END"),
        base64.b64encode(IN_FILE),
    ],
)
def test_other_armour_is_refused(spelling: bytes) -> None:
    with pytest.raises(ProofInvalidError):
        remove_armour(spelling)


@given(mutated(ARMOURED))
def test_armour_with_any_byte_changed_gives_no_other_signature_that_holds(data: bytes) -> None:
    try:
        inside = remove_armour(data)
        verify_signature(inside, MESSAGE, namespace=APPROVE, key=file_key(1))
    except ProofInvalidError:
        return

    assert inside == IN_FILE
