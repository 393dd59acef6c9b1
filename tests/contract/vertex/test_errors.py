from __future__ import annotations

import pytest
from google.api_core import exceptions as google_errors
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from grpc import StatusCode

from shared.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    RolloutsError,
    TransientError,
)
from shared.gapic.errors import translated


def raised(error: Exception) -> RolloutsError:
    """What ``error`` becomes."""
    with pytest.raises(RolloutsError) as caught, translated("reading endpoint p/r/e"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (StatusCode.ABORTED, ConflictError),
        (StatusCode.UNAVAILABLE, TransientError),
        (StatusCode.DEADLINE_EXCEEDED, TransientError),
        (StatusCode.RESOURCE_EXHAUSTED, BusyError),
        (StatusCode.INTERNAL, TransientError),
        (StatusCode.UNKNOWN, TransientError),
        (StatusCode.DATA_LOSS, TransientError),
        (StatusCode.CANCELLED, TransientError),
        (StatusCode.UNAUTHENTICATED, TransientError),
        (StatusCode.NOT_FOUND, NotFoundError),
        (StatusCode.ALREADY_EXISTS, AlreadyExistsError),
        (StatusCode.INVALID_ARGUMENT, RefusedError),
        (StatusCode.FAILED_PRECONDITION, RefusedError),
        (StatusCode.PERMISSION_DENIED, RefusedError),
        (StatusCode.OUT_OF_RANGE, RefusedError),
        (StatusCode.UNIMPLEMENTED, RefusedError),
    ],
)
def test_each_status_has_its_consequence(code: StatusCode, ours: type[RolloutsError]) -> None:
    error = raised(google_errors.from_grpc_status(code, "the service's own reason"))
    assert type(error) is ours
    assert str(error) == f"reading endpoint p/r/e: the service's own reason ({code.name})"


def test_a_failed_precondition_about_an_etag_is_a_conflict() -> None:
    error = google_errors.from_grpc_status(StatusCode.FAILED_PRECONDITION, "Etag does not match.")
    assert type(raised(error)) is ConflictError


def test_an_invalid_argument_that_says_it_exists_already_is_no_other_refusal() -> None:
    error = google_errors.from_grpc_status(StatusCode.INVALID_ARGUMENT, "The DeployedModel ID 11 already exists.")
    assert type(raised(error)) is AlreadyExistsError


def test_retries_that_gave_up_tell_the_last_answer() -> None:
    last = google_errors.ServiceUnavailable("the region is down")
    error = raised(google_errors.RetryError("Timeout of 18.0s exceeded", cause=last))
    assert type(error) is TransientError
    assert "the region is down" in str(error)


@pytest.mark.parametrize("error", [DefaultCredentialsError("none found"), RefreshError("metadata server is away")])
def test_missing_credentials_may_come_back(error: Exception) -> None:
    assert type(raised(error)) is TransientError


def test_errors_of_our_own_pass_through() -> None:
    with pytest.raises(KeyError), translated("anything"):
        raise KeyError("ours")
