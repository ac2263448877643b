"""The example client of every language speaks TLS, shows its certificate and sends its token."""

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from trustme import CA, KeyType

TOKEN = "3c1b0d9b-token-of-checkout"


@pytest.fixture(scope="session")
def authority():
    return CA(key_type=KeyType.ECDSA)


@pytest.fixture(scope="session")
def identity(authority, tmp_path_factory):
    """Makes the files of a certificate and its key for a name."""

    def issue(*names):
        directory = tmp_path_factory.mktemp("identity")
        issued = authority.issue_cert(*names, key_type=KeyType.ECDSA)
        cert, key = directory / "tls.crt", directory / "tls.key"
        issued.cert_chain_pems[0].write_to_path(cert)
        key.write_bytes(pkcs8(issued.private_key_pem.bytes()))
        return cert, key

    return issue


def pkcs8(key):
    """The one form of a key that all languages read."""
    key = serialization.load_pem_private_key(key, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture
def ca(authority, tmp_path):
    file = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture
def start_tls_gateway(start_gateway, identity):
    def start(*flags, **variables):
        cert, key = identity("localhost", "127.0.0.1")
        gateway = start_gateway(
            *flags,
            ready=False,
            FACE_LIVENESS_TLS_CERTIFICATE=str(cert),
            FACE_LIVENESS_TLS_KEY=str(key),
            **variables,
        )
        gateway.until(lambda: "ready: serving" in gateway.stderr)
        return gateway

    return start


def test_tls_makes_a_session(client, start_tls_gateway, ca):
    gateway = start_tls_gateway()
    assert client.session(gateway.address, "--ca", ca).session_id


def test_a_gateway_of_another_authority_is_not_believed(client, start_tls_gateway, tmp_path):
    stranger = tmp_path / "stranger.crt"
    CA(key_type=KeyType.ECDSA).cert_pem.write_to_path(stranger)
    gateway = start_tls_gateway()
    refusal = client.refusal(gateway.address, "--ca", stranger, "--deadline", "2")
    assert refusal.request_id is None


def test_mutual_tls_makes_a_session(client, start_tls_gateway, identity, ca):
    gateway = start_tls_gateway(FACE_LIVENESS_TLS_CLIENT_CA=str(ca))
    cert, key = identity("checkout.example.org")
    assert client.session(gateway.address, "--ca", ca, "--cert", cert, "--key", key).session_id


def test_mutual_tls_lets_nobody_in_without_a_certificate(client, start_tls_gateway, ca):
    gateway = start_tls_gateway(FACE_LIVENESS_TLS_CLIENT_CA=str(ca))
    refusal = client.refusal(gateway.address, "--ca", ca, "--deadline", "2")
    assert refusal.request_id is None


@pytest.fixture
def token_gateway(start_tls_gateway, emulator, tmp_path):
    """A gateway that knows one token."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'region = "us-east-1"\nendpoint_url = "{emulator.url}"\n'
        f'[[tokens]]\ncaller = "checkout"\nsha256 = "{digest}"\n'
    )
    return start_tls_gateway("--config", config)


def test_a_bearer_token_makes_a_session(client, token_gateway, ca, tmp_path):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    assert client.session(token_gateway.address, "--ca", ca, "--token-file", token).session_id


def test_a_token_that_nobody_knows_is_refused_with_the_reason(client, token_gateway, ca, tmp_path):
    token = tmp_path / "token"
    token.write_text("guessed")
    refusal = client.refusal(token_gateway.address, "--ca", ca, "--token-file", token)
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert refusal.domain == "faceliveness.v1"
    assert (refusal.pushback_ms, refusal.retry_delay) == (-1, None)


def test_a_token_is_not_sent_in_plaintext(client, start_peer, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    peer = start_peer(b"")
    client.mistake(peer.address, "--token-file", token)
    assert peer.calls == []
