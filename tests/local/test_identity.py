"""Tokens of the local system, verified by Google's own library."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from local.identity import Issuer, KeyServer
from local.pubsub import PubsubServer
from tests.local.cloud import Cloud
from tests.local.helpers import Endpoint, eventually

AUDIENCE = "https://receive-command.example.com"
EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer.create()


@pytest.fixture(scope="module")
def keys(issuer: Issuer) -> Iterator[KeyServer]:
    with KeyServer(issuer) as running:
        yield running


@pytest.fixture
def request_() -> Iterator[Request]:
    with requests.Session() as session:
        yield Request(session)


@pytest.mark.parametrize("form", ["", "/pem"])
def test_a_token_is_accepted_for_its_audience(issuer: Issuer, keys: KeyServer, request_: Request, form: str) -> None:
    token = issuer.mint(EMAIL, AUDIENCE)
    claims = id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=keys.url + form)
    assert claims["email"] == EMAIL
    assert claims["email_verified"] is True
    assert claims["iss"] == "https://accounts.google.com"


def test_a_token_for_another_audience_is_refused(issuer: Issuer, keys: KeyServer, request_: Request) -> None:
    token = issuer.mint(EMAIL, "https://elsewhere.example.com")
    with pytest.raises(jwt.InvalidAudienceError):
        id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=keys.url)
    with pytest.raises(exceptions.InvalidValue):
        id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=f"{keys.url}/pem")


def test_a_token_that_has_expired_is_refused(issuer: Issuer, keys: KeyServer, request_: Request) -> None:
    token = issuer.mint(EMAIL, AUDIENCE, seconds=-1)
    with pytest.raises(jwt.ExpiredSignatureError):
        id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=keys.url)
    with pytest.raises(exceptions.InvalidValue):
        id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=f"{keys.url}/pem")


def test_a_token_under_another_key_is_refused(keys: KeyServer, request_: Request) -> None:
    token = Issuer.create().mint(EMAIL, AUDIENCE)
    with pytest.raises(jwt.PyJWKClientError):
        id_token.verify_token(token, request_, audience=AUDIENCE, certs_url=keys.url)


def test_a_token_whose_content_was_changed_is_refused(issuer: Issuer, keys: KeyServer, request_: Request) -> None:
    header, _, signature = issuer.mint(EMAIL, AUDIENCE).split(".")
    _, other, _ = issuer.mint("eve@example.com", AUDIENCE).split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        id_token.verify_token(f"{header}.{other}.{signature}", request_, audience=AUDIENCE, certs_url=keys.url)


def test_processes_share_an_identity_through_a_file_that_others_cannot_read(issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    issuer.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Issuer.load(path).jwks() == issuer.jwks()


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(ValueError, match="no RSA key"):
        Issuer.load(path)


def test_another_path_is_not_found(keys: KeyServer) -> None:
    assert requests.get(f"{keys.url}/nowhere", timeout=10).status_code == 404


def test_a_push_carries_the_token_its_subscription_asks_for(
    issuer: Issuer, keys: KeyServer, request_: Request, endpoint: Endpoint
) -> None:
    with PubsubServer(mint=issuer.mint) as server, Cloud(server.address) as cloud:
        topic = cloud.topic()
        for audience in ("", AUDIENCE):
            oidc = {"service_account_email": EMAIL, "audience": audience}
            url = f"{endpoint.url}/{'given' if audience else 'default'}"
            cloud.subscription(topic, push_config={"push_endpoint": url, "oidc_token": oidc})
        cloud.subscription(topic, f"{endpoint.url}/none")
        cloud.publish(topic)
        eventually(lambda: len(endpoint.posts) == 3)
    tokens = {post.path: post.headers.get("Authorization", "") for post in endpoint.posts}
    assert tokens.pop("/none") == ""
    for path, audience in (("/given", AUDIENCE), ("/default", f"{endpoint.url}/default")):
        token = tokens[path].removeprefix("Bearer ")
        assert id_token.verify_token(token, request_, audience=audience, certs_url=keys.url)["email"] == EMAIL
