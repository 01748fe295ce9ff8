"""Which providers a deployment has: what its settings name, in the order of the methods' table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.payments.sandbox import Sandbox

if TYPE_CHECKING:
    from server.payments.provider import Provider
    from server.settings import Settings


def configured(settings: Settings) -> list[Provider]:
    """Return the providers that the settings name: in production never the one that moves no money."""
    providers: list[Provider] = []
    if settings.stripe_secret_key:
        from server.payments.stripe import Stripe  # noqa: PLC0415  half a second, for those who use it

        providers.append(
            Stripe(settings.stripe_secret_key, settings.stripe_webhook_secret, settings.stripe_api_base)
        )
    if not settings.production:
        providers.append(Sandbox(settings.sandbox_url, settings.secret_key()))
    return providers
