"""Whose token it is, and every way to bring one that is not good."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bridge.server.settings import BadSetting
from bridge.server.tokens import AHEAD, TokenCheck, public_keys, signer

SUB = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
AGE = 60.0
KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
KEY = KEYS["ES256"]


class Clock:
    at = datetime(2026, 11, 21, 21, tzinfo=UTC).timestamp()

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def check(clock):
    token_check = TokenCheck({SUB: KEY.public_key()}, AGE, clock)
    clock.at += AGE

    def run(token):
        # In a thread of its own: a browser test may have left its loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, token_check(token)).result()

    return run


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def token(clock, *, key=KEY, algorithm="ES256", headers=None, age=0.0, **claims):
    claims = {"sub": SUB, "iat": iso(clock.at - age), **claims}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm, headers=headers)


def unsigned(header, claims, sign=lambda signed: b""):
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(sign(signed))).decode()


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_it_tells_whose_a_good_token_is(check, clock):
    assert check(token(clock)) == SUB


@pytest.mark.parametrize("algorithm", KEYS)
def test_it_takes_each_kind_of_asymmetric_signature(algorithm, clock):
    check = TokenCheck({SUB: KEYS[algorithm].public_key()}, AGE, clock)

    with ThreadPoolExecutor(1) as thread:
        good = token(clock, key=KEYS[algorithm], algorithm=algorithm)
        assert thread.submit(asyncio.run, check(good)).result() == SUB


def test_it_refuses_a_token_without_a_signature(check, clock):
    claims = {"sub": SUB, "iat": iso(clock.at)}

    for name in ("none", "None", "NONE"):
        assert check(unsigned({"alg": name, "typ": "JWT"}, claims)) is None


def test_it_refuses_a_public_key_taken_for_a_shared_secret(check, clock):
    """Anybody has the public key, so anybody could sign with it if the token's header were believed."""
    claims = {"sub": SUB, "iat": iso(clock.at)}
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    for secret in (public_pem(KEY), public_pem(KEY).strip(), der):
        forged = unsigned({"alg": "HS256"}, claims, lambda signed, s=secret: hmac.digest(s, signed, hashlib.sha256))
        assert check(forged) is None


def test_it_refuses_a_key_that_the_token_brings_itself(check, clock):
    stranger = ec.generate_private_key(ec.SECP256R1())
    own = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key()))

    assert check(token(clock, key=stranger, headers={"jwk": own})) is None


def test_it_refuses_the_wrong_key(check, clock):
    assert check(token(clock, key=ec.generate_private_key(ec.SECP256R1()))) is None


def test_it_refuses_an_algorithm_that_is_not_the_keys(check, clock):
    assert check(token(clock, key=KEYS["EdDSA"], algorithm="EdDSA")) is None


@pytest.mark.parametrize("sub", ["3d0f3c0e-7f0a-4f59-9d5b-6f1d8f1f3f10", "alice", "", 7, ["x"], None, "../" + SUB])
def test_it_refuses_a_sub_that_it_has_no_key_for(sub, check, clock):
    claims = {"sub": sub, "iat": iso(clock.at)}
    if sub is None:
        del claims["sub"]

    signed = jwt.api_jws.encode(json.dumps(claims).encode(), KEY, algorithm="ES256")

    assert check(signed) is None


def test_it_refuses_a_changed_token(check, clock):
    header, claims, signature = token(clock).split(".")
    other = token(clock, name="admin").split(".")[1]

    assert check(f"{header}.{other}.{signature}") is None
    assert check(f"{header}.{claims}.{signature[:-4]}AAAA") is None


def test_it_refuses_a_stale_token(check, clock):
    assert check(token(clock, age=AGE + 1)) is None
    assert check(token(clock, age=AGE - 1)) == SUB


def test_it_refuses_a_token_from_the_future(check, clock):
    assert check(token(clock, age=-AHEAD - 1)) is None
    assert check(token(clock, age=-AHEAD + 1)) == SUB


@pytest.mark.parametrize("iat", [1795294800, "1795294800", "yesterday", "2026-11-21T21:01:00", "", None, {}, True])
def test_it_refuses_an_iat_that_is_no_time_with_a_zone(iat, check, clock):
    assert check(token(clock, iat=iat)) is None


@pytest.mark.parametrize("iat", ["2026-11-21T21:01:00Z", "2026-11-21T22:01:00+01:00", "2026-11-21T21:01:00.123456Z"])
def test_it_reads_iat_in_any_zone(iat, check):
    assert check(token(Clock(), iat=iat)) == SUB


def test_it_refuses_a_token_that_was_used(check, clock):
    used = token(clock)
    check(used)

    clock.at += AGE - 1

    assert check(used) is None


def test_it_refuses_a_used_token_with_another_valid_signature(check, clock):
    """(r, n − s) signs what (r, s) signs, and needs no private key."""
    signed, _, signature = token(clock).rpartition(".")
    check(f"{signed}.{signature}")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
    twin = f"{signed}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}"
    assert jwt.decode(twin, KEY.public_key(), algorithms=["ES256"], options={"verify_iat": False})["sub"] == SUB

    assert check(twin) is None


def test_it_forgets_used_tokens_that_are_stale_anyway(clock):
    check = TokenCheck({SUB: KEY.public_key()}, AGE, clock)

    async def use_many():
        for _ in range(20):
            clock.at += AGE
            assert await check(token(clock)) == SUB

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, use_many()).result()
    assert len(check._used) == len(check._used_in_order) <= 3


def test_it_refuses_what_was_signed_before_it_began(clock):
    """What was used before then is not remembered."""
    before = token(clock, age=2)
    check = TokenCheck({SUB: KEY.public_key()}, AGE, clock)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, check(before)).result() is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "\N{SNOWMAN}", "x" * 100_000, "e30.e30.e30", "\0", "\ud800"])
def test_it_refuses_what_is_no_token(text, check):
    assert check(text) is None


@pytest.mark.parametrize(
    "content", ["[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900, "7", "null", '"x"', "[]"]
)
def test_it_refuses_odd_json_in_a_token(content, check):
    part = base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()

    assert check(f"{part}.{part}.AAAA") is None
    assert check(f"{head}.{part}.AAAA") is None


def test_a_refusal_logs_why_and_nothing_of_the_token(check, clock, caplog):
    stale = token(clock, age=AGE + 9, secret="hush")

    with caplog.at_level(logging.DEBUG):
        check(stale)
        check(stale[:-3])

    assert "signed 69 s ago" in caplog.text
    assert not any(part in caplog.text for part in [*stale.split("."), "hush", SUB])


# --- Keys ---------------------------------------------------------------------------------------------------------


def test_keys_come_from_a_folder(tmp_path):
    other = str(uuid4())
    (tmp_path / f"{SUB}.pem").write_bytes(public_pem(KEY))
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(KEYS["RS256"].public_key())
    (tmp_path / f"{other}.jwk").write_text(jwk)
    (tmp_path / "README").write_text("not a key")

    keys = public_keys(tmp_path)

    assert keys == {SUB: KEY.public_key(), other: KEYS["RS256"].public_key()}


def test_keys_come_from_a_jwk_set(tmp_path):
    entry = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEYS["EdDSA"].public_key()))
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{**entry, "kid": SUB.upper()}]}))

    assert public_keys(path) == {SUB: KEYS["EdDSA"].public_key()}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (f"{SUB}.pem", private_pem(KEY), "private key"),
        (f"{SUB}.pem", b"nonsense", "no public key"),
        (f"{SUB}.pem", public_pem(rsa.generate_private_key(65537, 1024)), "2048 bits"),
        (f"{SUB}.pem", public_pem(ec.generate_private_key(ec.SECP256K1())), "P-256"),
        (f"{SUB}.jwk", b'{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}', "is needed"),
        (f"{SUB}.jwk", b"{}", "cannot be read"),
        (f"{SUB}.jwk", b"[]", "neither"),
        ("alice.pem", public_pem(KEY), "UUID"),
        ("README", b"", "has no key"),
    ],
)
def test_a_folder_with_a_bad_key_is_refused(name, content, why, tmp_path):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadSetting, match=why):
        public_keys(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": 7}', '{"keys": [7]}', '{"keys": []}'])
def test_a_file_that_is_no_jwk_set_is_refused(content, tmp_path):
    (tmp_path / "keys.json").write_text(content)

    with pytest.raises(BadSetting):
        public_keys(tmp_path / "keys.json")


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="cannot be read"):
        public_keys(tmp_path / "nowhere")
    with pytest.raises(BadSetting, match="cannot be read"):
        signer(tmp_path / "nowhere")


@pytest.mark.parametrize("algorithm", KEYS)
def test_the_bridge_signs_a_new_token_for_each_hello(algorithm, tmp_path):
    path = tmp_path / f"{SUB}.pem"
    path.write_bytes(private_pem(KEYS[algorithm]))
    check = TokenCheck({SUB: KEYS[algorithm].public_key()}, AGE)
    sign = signer(path)

    with ThreadPoolExecutor(1) as thread:
        assert [thread.submit(asyncio.run, check(sign())).result() for _ in range(2)] == [SUB, SUB]


def test_the_bridges_key_is_named_by_its_uuid(tmp_path):
    path = tmp_path / "bridge.pem"
    path.write_bytes(private_pem(KEY))

    with pytest.raises(BadSetting, match="UUID"):
        signer(path)
