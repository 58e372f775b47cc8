"""One call of the Site API, with the API key; what becomes of it is `audit.outbound`'s to find out."""

from collections.abc import Callable
from typing import Any

from agents.credentials import Secret
from audit import outbound
from audit.outbound import Limits, Lost, NeverLeft, Response

__all__ = ["Limits", "Lost", "NeverLeft", "Response", "call"]


def call(
    method: str,
    url: str,
    *,
    secret: Secret,
    limits: Limits,
    params: dict[str, Any] | None = None,
    json: Any = None,
    proxy: str = "",
    ca_bundle: str = "",
    still_ours: Callable[[], bool] = lambda: True,
) -> Response:
    """Make one call. Raises `NeverLeft` or `Lost`, each with a message that is fit for an administrator."""
    return outbound.call(
        method,
        url,
        headers={"Authorization": f"Bearer {secret.value}", "Accept": "application/json"},
        limits=limits,
        params=params,
        json=json,
        proxy=proxy,
        ca_bundle=ca_bundle,
        still_ours=still_ours,
    )
