"""gRPC with TLS: who trusts the authority is served, who does not is not; the certificate is kept and renewed."""

from __future__ import annotations

import stat
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from google.api_core import exceptions
from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import EndpointServiceGrpcTransport

from vertex_emulator.stack import LocalVertex
from vertex_emulator.tls import make_certificate

ENDPOINT = "projects/local-project/locations/us-central1/endpoints/none"


def _get(channel: grpc.Channel) -> None:
    client = EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel))
    client.get_endpoint(name=ENDPOINT, timeout=5)


def test_who_trusts_the_authority_is_served(local: LocalVertex) -> None:
    assert local.certificate is not None
    credentials = grpc.ssl_channel_credentials(local.certificate.authority.read_bytes())
    with grpc.secure_channel(local.tls_address, credentials) as channel, pytest.raises(exceptions.NotFound):
        _get(channel)


def test_who_trusts_another_authority_is_not(local: LocalVertex, tmp_path: Path) -> None:
    other = make_certificate(tmp_path)
    credentials = grpc.ssl_channel_credentials(other.authority.read_bytes())
    with grpc.secure_channel(local.tls_address, credentials) as channel, pytest.raises(exceptions.ServiceUnavailable):
        _get(channel)


def test_the_plain_port_is_served_beside_it(local: LocalVertex) -> None:
    with grpc.insecure_channel(local.address) as channel, pytest.raises(exceptions.NotFound):
        _get(channel)


def test_a_certificate_is_kept_until_it_is_broken_or_gone(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when missing"
    made = make_certificate(folder)
    first = made.certificate.read_bytes()
    assert make_certificate(folder).certificate.read_bytes() == first
    made.certificate.write_text("broken")
    assert make_certificate(folder).certificate.read_bytes() not in (first, b"broken")
    made.key.unlink()
    make_certificate(folder)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


def test_the_certificate_is_for_this_machine_and_cannot_sign_others(tmp_path: Path) -> None:
    made = x509.load_pem_x509_certificate(make_certificate(tmp_path).certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
