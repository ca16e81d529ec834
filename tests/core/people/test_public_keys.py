"""People's public keys: two algorithms, one spelling, and none that anyone could sign with."""

from __future__ import annotations

import base64
import itertools

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.core.people.signatures import (
    ALGORITHMS,
    ED25519,
    HARDWARE_ED25519,
    KEY_LINE_CHARACTERS_MAX,
    KEY_SIZE_BYTES_MAX,
    fingerprint,
    parse_public_key,
    read_key,
    render_public_key,
)
from tests.core.mutation import mutated
from tests.core.people.ssh_keys import file_key, hardware_key, key_line, wire

FILE_KEY = file_key(1)
HARDWARE_KEY = hardware_key(1)

# From `ssh-keygen -t ed25519`, and what `ssh-keygen -lf` says of it.
OPENSSH_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqT2/PdZl+EsNiCuCeMkAQjTrfVRi2cywnxb6aM9ROc ada@example.com"
OPENSSH_FINGERPRINT = "SHA256:ND4cJuuPyMm9m9FvtAjdFp1bW0aDJYDnKis/T+f1GgY"


def test_keys_of_both_algorithms_are_read() -> None:
    for key, algorithm, application in ((FILE_KEY, ED25519, ""), (HARDWARE_KEY, HARDWARE_ED25519, "ssh:")):
        assert parse_public_key(key_line(key, algorithm)) == key
        assert parse_public_key(render_public_key(key)) == key
        assert parse_public_key(render_public_key(key, comment="a comment of words")) == key
        assert (read_key(key).algorithm, read_key(key).application) == (algorithm, application)


def test_fingerprint_is_that_of_openssh() -> None:
    assert fingerprint(parse_public_key(OPENSSH_LINE)) == OPENSSH_FINGERPRINT


POINT = FILE_KEY[-32:]


@pytest.mark.parametrize(
    "key",
    [
        b"",
        FILE_KEY[:-1],
        FILE_KEY + b"x",
        wire(b"ssh-ed25519", POINT + b"x"),
        wire(b"ssh-ed25519", POINT, b"ssh:"),
        wire(b"sk-ssh-ed25519@openssh.com", POINT),
        wire(b"sk-ssh-ed25519@openssh.com", POINT, b"web:"),
        wire(b"sk-ssh-ed25519@openssh.com", POINT, b"ssh:\xff"),
        wire(b"sk-ssh-ed25519@openssh.com", POINT, b"ssh:", b""),
        wire(b"sk-ssh-ed25519@openssh.com", POINT, b"ssh:" + b"x" * KEY_SIZE_BYTES_MAX),
        wire(b"ssh-ed25519-cert-v01@openssh.com", POINT),
        wire(b"ssh-rsa", b"\x01\x00\x01", bytes(256)),
        wire(b"ecdsa-sha2-nistp256", b"nistp256", bytes(65)),
        wire(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", bytes(65), b"ssh:"),
        wire(b"ssh-ed448", bytes(57)),
        b"\xff\xff\xff\xffssh-ed25519",
    ],
)
def test_other_key_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_key(key)
    with pytest.raises(InvalidInputError):
        parse_public_key(key_line(key))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        base64.b64encode(FILE_KEY).decode(),
        key_line(FILE_KEY, HARDWARE_ED25519),
        key_line(HARDWARE_KEY, ED25519),
        key_line(FILE_KEY, "SSH-ED25519"),
        key_line(FILE_KEY).replace(" someone", "= someone"),
        key_line(FILE_KEY).replace("ssh-ed25519 AAAA", "ssh-ed25519 A AAA"),
        'cert-authority,namespaces="x" ' + key_line(FILE_KEY),
        "# " + key_line(FILE_KEY),
        key_line(FILE_KEY) * 2,
        key_line(FILE_KEY).strip() + "x" * KEY_LINE_CHARACTERS_MAX,
    ],
)
def test_line_that_is_no_single_key_is_refused(line: str) -> None:
    assert parse_public_key(key_line(FILE_KEY)) == FILE_KEY

    with pytest.raises(InvalidInputError):
        parse_public_key(line)


def test_refusal_names_the_algorithm_and_repeats_nothing_else() -> None:
    with pytest.raises(InvalidInputError, match="algorithm ssh-rsa is not taken"):
        parse_public_key("ssh-rsa AAAA")
    with pytest.raises(InvalidInputError) as refused:
        parse_public_key("correct horse battery staple")

    assert "correct" not in refused.value.message + refused.value.hint


@given(st.sampled_from([FILE_KEY, HARDWARE_KEY]).flatmap(mutated) | st.binary(max_size=100))
def test_hostile_key_is_refused_or_is_another_key(key: bytes) -> None:
    try:
        line = render_public_key(key)
    except InvalidInputError:
        return

    assert parse_public_key(line) == key
    assert line.split()[0] in ALGORITHMS


@given(st.text(max_size=200) | mutated(key_line(FILE_KEY).encode()).map(lambda data: data.decode("latin-1")))
def test_hostile_line_is_refused_or_is_a_key(line: str) -> None:
    try:
        key = parse_public_key(line)
    except InvalidInputError:
        return

    assert line.split()[:2] == render_public_key(key).split()


# Every spelling of a point whose order divides 8, its sign bit included; found in the tables of libsodium.
PRIME = 2**255 - 19
ORDER_8 = [
    int.from_bytes(bytes.fromhex(text), "little")
    for text in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
]
WEAK_POINTS = [
    (y | sign << 255).to_bytes(32, "little")
    for y, sign in itertools.product([0, 1, *ORDER_8, PRIME - 1, PRIME, PRIME + 1], [0, 1])
]
SIGNATURE_OF_NOBODY = (1).to_bytes(32, "little") + bytes(32)


def is_forged(point: bytes) -> bool:
    """Say whether a signature that took no private key passes for one of the first messages that are tried."""
    for number in range(64):
        try:
            Ed25519PublicKey.from_public_bytes(point).verify(SIGNATURE_OF_NOBODY, b"%d" % number)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


@pytest.mark.parametrize("point", WEAK_POINTS, ids=bytes.hex)
def test_key_that_anyone_can_sign_with_is_refused(point: bytes) -> None:
    for key in (wire(b"ssh-ed25519", point), wire(b"sk-ssh-ed25519@openssh.com", point, b"ssh:")):
        with pytest.raises(InvalidInputError):
            read_key(key)


def test_the_refusal_is_not_idle_and_not_too_wide() -> None:
    assert sum(map(is_forged, WEAK_POINTS)) >= 8
    assert not is_forged(POINT)
    read_key(FILE_KEY)
