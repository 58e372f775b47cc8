"""Settings of the test suite: the same, with a quick hasher and static files as they lie."""

import os
import tempfile
from datetime import timedelta

os.environ.setdefault("CONSOLE_DATA_DIR", tempfile.mkdtemp(prefix="console-test-"))

from console.settings import *  # noqa: E402, F403
from console.settings import STATIC_ROOT, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# WhiteNoise warns of a folder that is not there, and warnings are errors.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# Tests write the counts themselves.
CONSOLE_API_KEY_USE = timedelta(days=1)
