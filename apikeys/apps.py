from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    name = "apikeys"
    verbose_name = "API keys"

    def ready(self) -> None:
        from apikeys.hands import hands_of
        from apikeys.rights import Right
        from apikeys.scopes import Scope, register
        from audit.reviews.services import register_hands

        register_hands(hands_of)
        register(
            # Here for the audit log too: `audit` knows nothing of keys.
            Scope("Audit log", "Get", "read and export the events of the audit log", Right.AUDIT_GET),
            Scope("Audit log", "Review", "mark events and operations as reviewed", Right.AUDIT_REVIEW),
            Scope("API keys", "Get", "list API keys and how they are used, never their secrets", Right.APIKEY_GET),
            Scope("API keys", "Manage", "make, change and end API keys", Right.APIKEY_MANAGE),
        )
