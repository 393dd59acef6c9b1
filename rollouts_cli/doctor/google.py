"""APIs and roles, asked through Google's REST addresses with google-auth's session: no client library of theirs is pinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rollouts_cli.doctor.finding import Finding, Health
from rollouts_cli.doctor.table import Deployed
from shared.errors import NotFoundError, PermanentError, TransientError

APIS, ROLES = "apis", "roles"
_NAMES = "aiplatform cloudbuild cloudfunctions cloudscheduler firestore iam logging monitoring pubsub run secretmanager"
NEEDED = tuple(f"{name}.googleapis.com" for name in _NAMES.split())
ADDRESSES = {name: f"https://{name}.googleapis.com" for name in ("serviceusage", "iam", "cloudresourcemanager")}
APPLY = "terraform -chdir=infra apply"


class Google:
    """Asks; ``session`` is google-auth's, or another of requests' where no credentials are needed."""

    def __init__(self, session: Any = None, addresses: Mapping[str, str] = ADDRESSES) -> None:
        self._session = session
        self._addresses = addresses

    def get(self, service: str, path: str) -> dict[str, Any]:
        """The answer to a GET."""
        return self._ask("GET", service, path, None)

    def post(self, service: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a POST."""
        return self._ask("POST", service, path, body)

    def _ask(self, method: str, service: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        import requests
        from google.auth.exceptions import GoogleAuthError

        if self._session is None:
            self._session = _default_session()
        try:
            answer = self._session.request(method, f"{self._addresses[service]}/{path}", json=body, timeout=20)
        except (requests.RequestException, GoogleAuthError) as exc:
            raise TransientError(f"{service} cannot be asked: {exc}") from exc
        if answer.status_code == 404:
            raise NotFoundError(f"{service} has no {path}")
        if answer.status_code >= 400:
            said = str(answer.json().get("error", {}).get("message", "")) if _is_json(answer) else ""
            raise PermanentError(f"{service} answered {answer.status_code} to {path}: {said or 'without a reason'}")
        found: dict[str, Any] = answer.json()
        return found


def apis(google: Google, project: str) -> Iterator[Finding]:
    """Whether the APIs are enabled."""
    names = "&".join(f"names=projects/{project}/services/{name}" for name in NEEDED)
    services = google.get("serviceusage", f"v1/projects/{project}/services:batchGet?{names}").get("services", [])
    enabled = {one["name"].rpartition("/")[2] for one in services if one.get("state") == "ENABLED"}
    if missing := [name for name in NEEDED if name not in enabled]:
        yield Finding(
            APIS, Health.BROKEN, f"not enabled: {', '.join(missing)}", f"gcloud services enable {' '.join(missing)}"
        )
    else:
        yield Finding(APIS, Health.OK, f"{len(NEEDED)} are enabled")


def roles(google: Google, project: str, table: Sequence[Deployed]) -> Iterator[Finding]:
    """Whether each function's custom role has what its row says, and is bound to its account."""
    policy = google.post("cloudresourcemanager", f"v3/projects/{project}:getIamPolicy", {})
    bound = {
        (binding["role"], member) for binding in policy.get("bindings", []) for member in binding.get("members", [])
    }
    wrong = [sentence for row in table if row.permissions for sentence in _role(google, project, row, bound)]
    for sentence in wrong:
        yield Finding(ROLES, Health.BROKEN, sentence, APPLY)
    if not wrong:
        yield Finding(ROLES, Health.OK, f"{sum(1 for row in table if row.permissions)} are as the table says")


def _role(google: Google, project: str, row: Deployed, bound: set[tuple[str, str]]) -> Iterator[str]:
    name = f"projects/{project}/roles/{row.role}"
    try:
        has = set(google.get("iam", f"v1/{name}").get("includedPermissions", []))
    except NotFoundError:
        yield f"{row.name} has no role ({row.role})"
        return
    if lacking := sorted(set(row.permissions) - has):
        yield f"{row.name} may not {', '.join(lacking)}"
    if extra := sorted(has - set(row.permissions)):
        yield f"{row.name} may {', '.join(extra)}, which it does not need"
    # The prefix of accounts is the deployment's to choose.
    if not any(role == name and f"-{row.service}@" in member for role, member in bound):
        yield f"the role of {row.name} is bound to no account of its own"


def _default_session() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except DefaultCredentialsError as exc:
        raise PermanentError("there are no credentials; log in with `gcloud auth application-default login`") from exc
    return AuthorizedSession(credentials)


def _is_json(answer: Any) -> bool:
    return "json" in str(answer.headers.get("Content-Type", ""))
