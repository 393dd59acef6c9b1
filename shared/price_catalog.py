"""Reading the Cloud Billing Catalog: the SKUs of a service, page by page. Only ``rollouts prices --refresh`` asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from shared.channels import billing_catalog
from shared.errors import PermanentError, TransientError

PAGE = 5000
"""SKUs of one page, the most that it gives."""
SECONDS = 60.0
_LATER = (408, 429, 500, 502, 503, 504)


class Catalog(Protocol):
    """Where SKUs are read."""

    def skus(self, service: str) -> Iterator[Mapping[str, Any]]:
        """Every SKU of a service, in US dollars, in the form of ``cloudbilling.googleapis.com/v1``."""
        ...


class BillingCatalog:
    """Google's, with the default credentials: any account may read list prices."""

    def skus(self, service: str) -> Iterator[Mapping[str, Any]]:
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        token = ""
        try:
            address, session = billing_catalog()
            while True:
                asked = {"currencyCode": "USD", "pageSize": str(PAGE)} | ({"pageToken": token} if token else {})
                answer = session.get(f"{address}/v1/services/{service}/skus", params=asked, timeout=SECONDS)
                if answer.status_code in _LATER:
                    raise TransientError(f"the Cloud Billing Catalog answers {answer.status_code}; try again")
                if answer.status_code != 200:
                    raise PermanentError(
                        f"the Cloud Billing Catalog answers {answer.status_code}; is cloudbilling.googleapis.com enabled in the"
                        " project of your credentials?"
                    )
                page = answer.json()
                yield from page.get("skus", [])
                token = page.get("nextPageToken", "")
                if not token:
                    return
        except GoogleAuthError as exc:
            raise PermanentError(f"there are no credentials for the Cloud Billing Catalog: {exc}") from exc
        except (RequestException, ValueError) as exc:
            raise TransientError(f"the Cloud Billing Catalog cannot be read now: {exc}") from exc
