"""`python -m bridge`: the desktop agent bridge alone, without the console and without a database.

Settings come from BRIDGE_… variables of the environment; options go before them. SIGTERM or Ctrl-C end it.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bridge.protocol.settings import HubSettings
from bridge.server.server import BridgeServer, NoFreePort
from bridge.server.settings import BadSetting, BridgeSettings, from_environment
from bridge.server.tokens import TokenCheck, public_keys, signer


def main() -> int:
    options = _options()
    logging.basicConfig(level=options.pop("log_level").upper(), format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = from_environment(BridgeSettings, os.environ, **options)
        server = BridgeServer(
            settings,
            from_environment(HubSettings, os.environ),
            verify=TokenCheck(public_keys(settings.public_keys), settings.token_age) if settings.public_keys else None,
            own_token=signer(settings.private_key) if settings.private_key else None,
        )
        asyncio.run(_serve(server))
    except (BadSetting, NoFreePort) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _options() -> dict[str, Any]:
    parser = argparse.ArgumentParser("python -m bridge", description=__doc__)
    parser.add_argument("--port", type=int, help="this one only (0: any), not the first free one from 4475 to 4575")
    parser.add_argument(
        "--public-keys", type=Path, help="folder of <sub>.pem and <sub>.jwk, or a JWK set: ask for a JWT"
    )
    parser.add_argument("--private-key", type=Path, help="<sub>.pem, to sign a JWT of the bridge's own in each hello")
    parser.add_argument("--allow-origin", action="append", metavar="ORIGIN", help="a web page that may connect")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    if (port := given.pop("port", None)) is not None:
        given["first_port"] = given["last_port"] = port
    if origins := given.pop("allow_origin", None):
        given["allowed_origins"] = frozenset(origins)
    return given


async def _serve(server: BridgeServer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = await server.start()
    print(f"Desktop agents connect to ws://127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    raise SystemExit(main())
