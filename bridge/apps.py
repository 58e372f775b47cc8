from django.apps import AppConfig


class BridgeConfig(AppConfig):
    name = "bridge"
    verbose_name = "FDC3 bridge"

    def ready(self) -> None:
        from agents.kinds import register
        from bridge.kind import BRIDGE

        register(BRIDGE)
        _register_scopes()


def _register_scopes() -> None:
    from apikeys.rights import Right
    from apikeys.scopes import Scope, register

    agents_and_channels = "desktop agents, and apps from private channels"
    register(
        Scope("Bridge", "Get", "see bridges, desktop agents and private channels", Right.BRIDGE_GET, freely_given=True),
        Scope("Bridge", "Disconnect", f"disconnect {agents_and_channels}", Right.BRIDGE_DISCONNECT, freely_given=True),
        Scope("Bridge", "Connect", "connect to a bridge as a desktop agent", Right.BRIDGE_CONNECT, freely_given=True),
    )
