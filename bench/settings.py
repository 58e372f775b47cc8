"""The console's settings, and the applications that it is compared with; those that are not installed are left out."""

from importlib.util import find_spec

from console.settings import *  # noqa: F403
from console.settings import INSTALLED_APPS

OTHERS = [name for name in ("rest_framework_api_key", "knox") if find_spec(name)]
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework.authtoken", *OTHERS]
ROOT_URLCONF = "bench.key_urls"
