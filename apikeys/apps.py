from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    name = "apikeys"
    verbose_name = "API keys"

    def ready(self) -> None:
        from apikeys.rights import Right
        from apikeys.scopes import Scope, register

        register(
            # Here for the audit log too: `audit` knows nothing of keys.
            Scope("Audit log", "Get", "read the events of the audit log", Right.AUDIT_GET),
            Scope("API keys", "Get", "list API keys and how they are used, never their secrets", Right.APIKEY_GET),
            Scope("API keys", "Manage", "make, change and end API keys", Right.APIKEY_MANAGE),
        )
