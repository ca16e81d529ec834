"""A token is taken only from a trusted issuer, for this audience, now."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import KeySet, OctKey

from ringfence.core.errors import ConfigurationError, UnauthenticatedError
from ringfence.gateway import authentication
from ringfence.gateway.authentication import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS_MAX,
    TOKEN_SIZE_BYTES_MAX,
    Issuer,
    TokenChecker,
    check_claims,
    read_issuer,
)
from tests.gateway.issuers import (
    FIRST,
    HOUR,
    ISSUERS,
    KEYS,
    NOW,
    OTHER_KEY,
    SECOND,
    SECOND_KEY,
    Clock,
    claims,
    encode,
    make_checker,
    public,
    raw,
    sign,
    sign_with_secret,
)

GOOD = sign(claims())
TOKEN = GOOD.removeprefix(b"Bearer ")
HEAD, BODY, SIGNATURE = TOKEN.split(b".")


def check(authorization: bytes) -> tuple[str, str]:
    return make_checker().check(authorization).identity


def refused(authorization: bytes) -> str:
    with pytest.raises(UnauthenticatedError) as error:
        check(authorization)
    return error.value.message


# -- who signed it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alg", "key", "kid"),
    [
        ("Ed25519", "Ed25519", "one"),
        ("EdDSA", "Ed25519", "one"),
        ("ES256", "ES256", "ec"),
        ("RS256", "RS256", "rsa"),
        ("PS256", "RS256", "rsa"),
    ],
)
def test_token_of_each_algorithm_is_taken_and_with_one_bit_changed_refused(alg: str, key: str, kid: str) -> None:
    token = sign(claims(), key=KEYS[key], alg=alg, kid=kid)
    changed = bytearray(token)
    changed[-10] = ord("A") if changed[-10] != ord("A") else ord("B")

    assert check(token) == (FIRST, "app")
    assert "not signed" in refused(bytes(changed))


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic " + TOKEN,
        b"Token " + TOKEN,
        TOKEN,
        b" " + GOOD,
        b"Bearer\t" + TOKEN,
        GOOD + b"," + GOOD,
        GOOD + b" ",
        b"Bearer  " + TOKEN,
    ],
)
def test_header_that_is_no_bearer_token_is_refused(authorization: bytes) -> None:
    refused(authorization)
    assert check(b"bearer " + TOKEN) == check(b"BEARER " + TOKEN) == check(GOOD) == (FIRST, "app")


@pytest.mark.parametrize(
    "token",
    [
        HEAD + b"." + BODY,
        HEAD + b"." + BODY + b".",
        TOKEN + b".",
        TOKEN + b"." + SIGNATURE + b"." + SIGNATURE,
        b"." + BODY + b"." + SIGNATURE,
        BODY + b"." + HEAD + b"." + SIGNATURE,
        b"..",
        b"." * 1000,
        b"\xff\x00\x80",
        encode(b"\xff") + b"." + BODY + b"." + SIGNATURE,
        HEAD + b"." + encode(b"\xff") + b"." + SIGNATURE,
        HEAD + b"." + encode(b"[" * 3000) + b"." + SIGNATURE,
        HEAD + b"." + encode(b"1" * 5000) + b"." + SIGNATURE,
        encode(b"[" * 3000) + b"." + BODY + b"." + SIGNATURE,
        HEAD[:-1] + b"." + BODY + b"." + SIGNATURE,
        TOKEN + b"=",
        b"x" * (TOKEN_SIZE_BYTES_MAX + 1),
    ],
)
def test_token_of_the_wrong_shape_is_refused(token: bytes) -> None:
    refused(b"Bearer " + token)
    assert check(b"Bearer " + TOKEN) == (FIRST, "app")


def test_token_at_the_limit_of_size_is_taken_and_a_longer_one_refused() -> None:
    def token(size: int) -> bytes:
        filled = sign(claims(note="x" * size))
        return filled

    size = next(n for n in range(5500, 6500) if len(token(n)) - 7 > TOKEN_SIZE_BYTES_MAX)
    assert check(token(size - 1)) == (FIRST, "app")
    assert "longer" in refused(token(size))


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "None"}, {"alg": "NONE", "kid": "one"}, {"alg": ""}, {}])
def test_token_that_says_it_needs_no_signature_is_refused(header: dict[str, str]) -> None:
    refused(raw(header, claims()))
    refused(raw(header, claims(), b"x" * 64))
    assert check(sign(claims())) == (FIRST, "app")


@pytest.mark.parametrize("name", ["Ed25519", "ES256", "RS256"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_public_key_is_never_taken_for_a_shared_secret(name: str, alg: str) -> None:
    key: Any = KEYS[name]
    secrets = [key.as_pem(private=False), key.as_der(private=False), json.dumps(key.as_dict(private=False)).encode()]
    for secret in secrets:
        refused(sign_with_secret({"alg": alg, "kid": key.kid}, claims(), secret))
        refused(sign_with_secret({"alg": alg}, claims(), secret))
    assert check(sign(claims())) == (FIRST, "app")


def test_shared_secret_is_no_key_even_where_one_is_configured() -> None:
    secret = b"a secret that two parties would share"
    keys = KeySet([OctKey.import_key(secret, {"kid": "shared"}), KEYS["Ed25519"]])
    checker = TokenChecker(lambda: {FIRST: Issuer(FIRST, keys)}, clock_seconds=Clock())
    with pytest.raises(UnauthenticatedError):
        checker.check(sign_with_secret({"alg": "HS256", "kid": "shared"}, claims(), secret))
    assert checker.check(sign(claims())).identity == (FIRST, "app")


@pytest.mark.parametrize(
    "alg", ["ES256", "RS256", "PS256", "ES384", "A128KW", "dir", "RSA-OAEP", "b64", 7, None, ["Ed25519"]]
)
def test_signature_under_the_name_of_another_algorithm_is_refused(alg: Any) -> None:
    signature = b"x" * 64
    refused(raw({"alg": alg, "kid": "one"}, claims(), signature))
    refused(raw({"alg": alg, "kid": "rsa"}, claims(), signature))
    refused(raw({"alg": alg}, claims(), signature))
    assert check(sign(claims())) == (FIRST, "app")


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["b64"], "b64": False},
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": "b64"},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_header_that_must_be_understood_and_is_not_is_refused(header: dict[str, Any]) -> None:
    refused(raw({"alg": "Ed25519", "kid": "one", **header}, claims(), b"x" * 64))
    assert check(sign(claims(), typ="JWT")) == (FIRST, "app")


def test_key_that_a_token_brings_with_it_is_never_used() -> None:
    own = OTHER_KEY.as_dict(private=False)
    for header in ({"jwk": own}, {"jwk": own, "kid": "one"}, {"jku": "https://login.example.com/keys"}):
        head = {"alg": "Ed25519", **header}
        signed = sign(claims(), key=OTHER_KEY).split(b".")[2]
        refused(b"Bearer " + encode(json.dumps(head).encode()) + b"." + BODY + b"." + signed)
    assert check(sign(claims())) == (FIRST, "app")


def test_key_is_the_one_that_the_token_names() -> None:
    assert check(sign(claims(), kid="one")) == (FIRST, "app")
    refused(sign(claims(), kid="second"))
    refused(sign(claims(), kid="ec"))
    refused(sign(claims(), kid="nobody"))
    refused(sign(claims(), key=OTHER_KEY, kid="one"))
    refused(sign(claims(), key=KEYS["ES256"], alg="ES256", kid="one"))


def test_issuer_with_one_key_need_not_name_it() -> None:
    token = sign(claims(iss=SECOND, aud="custody"), key=SECOND_KEY, kid=None)
    assert check(token) == (SECOND, "app")
    refused(sign(claims(iss=SECOND, aud="custody"), key=OTHER_KEY, kid=None))


def test_issuer_speaks_for_itself_alone() -> None:
    assert check(sign(claims(iss=SECOND, aud="custody"), key=SECOND_KEY, kid="second")) == (SECOND, "app")
    refused(sign(claims(iss=FIRST, aud="custody"), key=SECOND_KEY, kid="second"))
    refused(sign(claims(iss=FIRST), key=SECOND_KEY, kid="second"))
    refused(sign(claims(iss=FIRST), key=SECOND_KEY, kid="one"))
    refused(sign(claims(iss=FIRST), key=SECOND_KEY, kid=None))
    refused(sign(claims(iss=SECOND, aud="custody"), kid="one"))


@pytest.mark.parametrize(
    "issuer", ["https://login.example.com", FIRST + "/", FIRST.upper(), "", 7, [FIRST], {"a": FIRST}, True, None]
)
def test_unknown_issuer_is_refused(issuer: Any) -> None:
    refused(raw({"alg": "Ed25519", "kid": "one"}, claims(iss=issuer), b"x" * 64))
    with contextlib.suppress(Exception):  # what the library refuses to sign was refused above
        assert refused(sign(claims(iss=issuer)))
    assert check(sign(claims(iss=FIRST))) == (FIRST, "app")


# -- for whom ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["custody", "Ringfence", "ringfence ", "", ["custody"], [], ["ringfence2"], None])
def test_token_for_another_audience_is_refused(audience: Any) -> None:
    assert "audience" in refused(sign(claims(aud=audience)))
    assert check(sign(claims(aud=["other", "ringfence"]))) == check(sign(claims(aud="ringfence"))) == (FIRST, "app")


@pytest.mark.parametrize("audience", [{"ringfence": 1}, 7, True, [["ringfence"]], [{"a": 1}]])
def test_audience_that_is_no_text_is_refused(audience: Any) -> None:
    with contextlib.suppress(ValueError, TypeError):
        assert refused(sign(claims(aud=audience)))


@pytest.mark.parametrize("subject", ["", "x" * 256, None])
def test_token_of_nobody_is_refused(subject: Any) -> None:
    assert "subject" in refused(sign(claims(sub=subject)))
    assert check(sign(claims(sub="x" * 255))) == (FIRST, "x" * 255)


# -- when ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ({"exp": NOW}, {"exp": NOW + 1}),
        ({"exp": NOW - HOUR}, {"exp": NOW + 0.5}),
        ({"exp": None}, {"exp": NOW + HOUR}),
        ({"exp": NOW + LIFETIME_SECONDS_MAX + 1}, {"exp": NOW + LIFETIME_SECONDS_MAX}),
        ({"exp": 2**53}, {"exp": NOW + HOUR}),
        ({"exp": 10**400}, {"exp": NOW + HOUR}),
        ({"exp": -1}, {"exp": NOW + HOUR}),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, {"nbf": NOW + LEEWAY_SECONDS}),
        ({"iat": NOW + LEEWAY_SECONDS + 1}, {"iat": NOW + LEEWAY_SECONDS}),
        ({"iat": NOW, "nbf": NOW + HOUR}, {"iat": NOW + HOUR, "nbf": NOW}),
        ({"nbf": -1}, {"nbf": 0}),
        ({"iat": -1}, {"iat": None}),
    ],
)
def test_token_is_taken_between_its_times_alone(bad: dict[str, Any], good: dict[str, Any]) -> None:
    refused(sign(claims(**bad)))
    assert check(sign(claims(**good))) == (FIRST, "app")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["tomorrow", str(NOW + 60), True, [NOW + 60], {"a": 1}, float("nan"), float("inf")])
def test_time_that_is_no_number_is_refused(name: str, value: Any) -> None:
    body = json.dumps(claims(**{name: value})).encode()
    issuer = ISSUERS[FIRST]
    with pytest.raises(UnauthenticatedError):
        check_claims(json.loads(body), issuer, NOW)
    assert check_claims(claims(**{name: NOW + 1}), issuer, NOW)[0].identity == (FIRST, "app")


def test_token_that_was_checked_is_refused_from_its_end_on() -> None:
    clock = Clock()
    checker = make_checker(clock)
    for seconds in (NOW, NOW + 1, NOW + HOUR - 0.001):
        clock.seconds = seconds
        assert checker.check(GOOD).identity == (FIRST, "app")
    for seconds in (NOW + HOUR, NOW + HOUR + 1, NOW + 10 * HOUR):
        clock.seconds = seconds
        with pytest.raises(UnauthenticatedError):
            checker.check(GOOD)


def test_refusal_is_not_remembered_and_a_token_becomes_valid_in_time() -> None:
    clock = Clock()
    checker, token = make_checker(clock), sign(claims(nbf=NOW + 2 * LEEWAY_SECONDS))
    with pytest.raises(UnauthenticatedError):
        checker.check(token)
    clock.seconds += LEEWAY_SECONDS
    assert checker.check(token).identity == (FIRST, "app")


def test_tokens_that_are_remembered_have_a_limit_and_refused_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "TOKENS_CACHED_MAX", 5)
    checker = make_checker()
    for number in range(20):
        assert checker.check(sign(claims(sub=f"app{number}"))).identity == (FIRST, f"app{number}")
        assert len(checker._checked) <= 5
    checker._checked.clear()
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            checker.check(sign(claims(sub=f"app{number}"), key=OTHER_KEY))
    assert not checker._checked


# -- anything ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "enc", "zip", "x5c", "cty"]),
    JSON | st.sampled_from(["Ed25519", "ES256", "RS256", "one", "ec", "rsa"]),
)


@given(authorization=st.binary(max_size=200) | st.text("Ber .eyJ=_-", max_size=80).map(str.encode))
def test_any_header_is_refused_with_the_one_error(authorization: bytes) -> None:
    refused(authorization)
    refused(b"Bearer " + authorization)


@given(header=HEADERS, payload=JSON | st.dictionaries(NAMES, JSON), signature=st.binary(max_size=80))
def test_any_unsigned_token_is_refused_with_the_one_error(header: Any, payload: Any, signature: bytes) -> None:
    refused(raw(header, payload, signature))
    body = payload | {"iss": FIRST} if isinstance(payload, dict) else payload
    refused(raw({"alg": "Ed25519", "kid": "one"} | header, body, signature))


@given(changes=st.dictionaries(NAMES, JSON, min_size=1))
def test_any_signed_claims_are_taken_or_refused_with_the_one_error(changes: dict[str, Any]) -> None:
    body = encode(json.dumps(claims() | changes).encode())
    head = encode(b'{"alg":"Ed25519","kid":"one"}')
    signature = KEYS["Ed25519"].private_key.sign(head + b"." + body)  # type: ignore[union-attr]
    with contextlib.suppress(UnauthenticatedError):
        issuer, subject = check(b"Bearer " + head + b"." + body + b"." + encode(signature))
        assert issuer == FIRST
        assert 0 < len(subject) <= 255


# -- the keys ------------------------------------------------------------------------------------------------------


def test_issuer_is_read_from_its_key_set(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(public(*KEYS.values()).as_dict(private=False)))
    assert read_issuer(FIRST, path).audience == "ringfence"
    assert len(read_issuer(FIRST, path, audience="custody").keys.keys) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "7",
        "null",
        '"keys"',
        '{"keys":[]}',
        '{"keys":{}}',
        '{"keys":[7]}',
        '{"keys":[{}]}',
        "\ud800",
        "[" * 9999,
        '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"!"}]}',
        '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}',
        '{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}',
        '{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}',
        json.dumps({"keys": [KEYS["Ed25519"].as_dict(private=True)]}),
        json.dumps({"keys": [KEYS["ES256"].as_dict(private=False), KEYS["RS256"].as_dict(private=True)]}),
    ],
)
def test_file_that_is_no_set_of_public_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        read_issuer(FIRST, path)


def test_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.json", tmp_path):
        with pytest.raises(ConfigurationError):
            read_issuer(FIRST, path)
