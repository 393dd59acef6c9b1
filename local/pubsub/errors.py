"""The one error of the embedded Pub/Sub: a gRPC status with a sentence."""

from __future__ import annotations

import grpc


class StatusError(Exception):
    """A request is refused with the status code the real service uses for the same mistake."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> StatusError:
    """The request can never succeed as it stands."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(kind: str, name: str) -> StatusError:
    """Nothing of this name exists here."""
    return StatusError(
        grpc.StatusCode.NOT_FOUND, f"Resource not found: {kind} {name!r} does not exist; create it first."
    )


def already_exists(kind: str, name: str) -> StatusError:
    """The name is taken."""
    return StatusError(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists: {kind} {name!r}.")


def unimplemented(feature: str) -> StatusError:
    """Saying so beats accepting a setting and then not honouring it."""
    return StatusError(grpc.StatusCode.UNIMPLEMENTED, f"The embedded Pub/Sub does not offer {feature}.")
