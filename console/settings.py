"""Django settings. What an operator may change is read by `setting()` and listed in docs/operating.md."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dj_database_url
from cryptography.fernet import Fernet
from django.utils.csp import CSP

from audit.signing import new_signing_key, signing_keys
from console import bundled_redis
from console.environment import (
    PROBLEMS,
    Problem,
    make_private_folder,
    number,
    one_of,
    origin,
    origins,
    setting,
    text,
    url,
    whole,
)
from console.secret_files import kept_secret, random_text

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Where things are -------------------------------------------------------------------------------------------
CONSOLE_DATA_DIR = setting(
    "CONSOLE_DATA_DIR",
    "var",
    "the folder of the SQLite database, the made secrets, the bundled Redis and the schedule of beat; "
    "a relative one starts at the project's folder",
    lambda value: BASE_DIR / Path(value).expanduser(),
)
_data_dir_is_usable = make_private_folder("CONSOLE_DATA_DIR", CONSOLE_DATA_DIR)
CONSOLE_PORT = setting("CONSOLE_PORT", "8000", "the port of 127.0.0.1 that the web listens on", whole(1, 65_535))
CONSOLE_URL = setting(
    "CONSOLE_URL",
    f"http://127.0.0.1:{CONSOLE_PORT}",
    "the address that browsers use; it decides allowed hosts, CSRF origins, secure cookies, HSTS and links in mails",
    origin,
)


def _database_url(value: str) -> str:
    url("postgres", "postgresql")(value)
    try:
        if value:
            dj_database_url.parse(value)
    except ValueError:
        # Not the parser's own words: they may quote a part of the password.
        raise ValueError(
            "is not of the form postgres://user:password@host:port/name, with %2F for / and so on"
        ) from None
    return value


DATABASE_URL = setting(
    "DATABASE_URL",
    "",
    "the PostgreSQL database (`postgres://user:password@host/name`); empty: SQLite in the data folder",
    _database_url,
    secret=True,
)
REDIS_URL = setting(
    "REDIS_URL",
    "",
    "the Redis or Valkey that carries Celery's messages; empty: the bundled one",
    url("redis", "rediss", "redis+socket"),
    secret=True,
)


def _made_secret(name: str, make: Callable[[], str]) -> str:
    try:
        return kept_secret(CONSOLE_DATA_DIR / "secrets", name, make)
    except OSError as error:
        PROBLEMS.append(
            Problem(
                "CONSOLE_DATA_DIR",
                f"The secret {name} can't be kept in CONSOLE_DATA_DIR: {error.strerror} ({error.filename}).",
                "Mend the folder's owner and mode, or give the secret in the environment.",
            )
        )
        return make()


_given_secret_key = setting(
    "CONSOLE_SECRET_KEY", "", "signs sign-ins and forms; empty: made in the data folder", text, secret=True
)
SECRET_KEY = _given_secret_key or _made_secret("secret_key", random_text)


def _fernet_keys(value: str) -> list[str]:
    keys = [key.strip() for key in value.split(",") if key.strip()]
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            raise ValueError("holds something that is not a Fernet key (32 bytes, URL-safe base64)") from None
    return keys


CONSOLE_CREDENTIAL_KEYS = setting(
    "CONSOLE_CREDENTIAL_KEYS",
    "",
    "the keys that encrypt credentials of sources, newest first, with commas between; empty: made in the data folder",
    _fernet_keys,
    secret=True,
) or _fernet_keys(_made_secret("credential_keys", lambda: Fernet.generate_key().decode()))


def _peppers(value: str) -> list[str]:
    peppers = [pepper.strip() for pepper in value.split(",") if pepper.strip()]
    if any(len(pepper) < 32 for pepper in peppers):
        raise ValueError("holds something shorter than 32 characters")
    return peppers


CONSOLE_API_KEY_PEPPERS = setting(
    "CONSOLE_API_KEY_PEPPERS",
    "",
    "what the digests of API keys are made with, newest first, with commas between; empty: made in the data folder",
    _peppers,
    secret=True,
) or _peppers(_made_secret("api_key_peppers", random_text))

CONSOLE_AUDIT_SIGNING_KEYS = setting(
    "CONSOLE_AUDIT_SIGNING_KEYS",
    "",
    "the Ed25519 keys that sign checkpoints and files of the audit log (32 bytes, URL-safe base64), newest first, with "
    "commas between; empty: made in the data folder",
    signing_keys,
    secret=True,
) or signing_keys(_made_secret("audit_signing_keys", new_signing_key))

# --- The web -----------------------------------------------------------------------------------------------------
_origin = urlsplit(CONSOLE_URL)
_secure = _origin.scheme == "https"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *filter(None, [_origin.hostname])]
CSRF_TRUSTED_ORIGINS = [f"{_origin.scheme}://{_origin.netloc}"]
CONSOLE_TRUSTED_PROXIES = setting(
    "CONSOLE_TRUSTED_PROXIES",
    "0",
    "how many reverse proxies stand before the console; their X-Forwarded-For and -Proto are believed",
    whole(0, 10),
)
CONSOLE_WEB_WORKERS = setting("CONSOLE_WEB_WORKERS", "2", "web processes", whole(1, 64))
CONSOLE_WEB_THREADS = setting("CONSOLE_WEB_THREADS", "8", "threads of each web process", whole(1, 64))
if CONSOLE_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
ALLAUTH_TRUSTED_PROXY_COUNT = CONSOLE_TRUSTED_PROXIES
SECURE_HSTS_SECONDS = 31_536_000 if _secure else 0
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "__Host-console-session" if _secure else "console-session"
CSRF_COOKIE_NAME = "__Host-console-csrf" if _secure else "console-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CONSOLE_SIGN_IN_HOURS = setting(
    "CONSOLE_SIGN_IN_HOURS",
    "12",
    "hours until a sign-in ends, whatever the person does",
    number(0.1, 24 * 30),
)
SESSION_COOKIE_AGE = int(CONSOLE_SIGN_IN_HOURS * 3600)
CONSOLE_LINK_HOURS = setting(
    "CONSOLE_LINK_HOURS",
    "24",
    "hours that a one-time link for a new person can be used",
    number(0.01, 24 * 30),
)
CONSOLE_LIVE_SECONDS = setting(
    "CONSOLE_LIVE_SECONDS",
    "2",
    "seconds between two looks of an open page while nothing on it is in motion",
    number(1, 60),
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

INSTALLED_APPS = [
    "console",  # First: some commands of Django's are better here.
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "audit",
    "apikeys",
    "agents",
    "agents.webconnect",
    "bridge",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "apikeys.middleware.ApiMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "audit.middleware.AuditContextMiddleware",
    "console.middleware.PersonMiddleware",
]
ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.shell",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = CONSOLE_DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- The database ------------------------------------------------------------------------------------------------
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            # Some system checks ask the database: they must get as far as telling that the folder is wrong.
            "NAME": str(CONSOLE_DATA_DIR / "console.sqlite3") if _data_dir_is_usable else ":memory:",
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Throttle counters of sign-in and of bad API keys are shared by all processes and outlive Redis, which may be emptied
# at any time. So many entries that nobody can push the counters of others out.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "console_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- People ------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "console.User"
AUTHENTICATION_BACKENDS = ["console.people.adapter.PersonBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in [
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
    ]
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "console:overview"
ACCOUNT_ADAPTER = "console.people.adapter.AccountAdapter"
ACCOUNT_FORMS = {"login": "console.people.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900

# --- API keys ----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    # Programs use keys, pages use the session; a view without a declared scope is refused to everybody.
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["apikeys.throttling.KeyThrottle"],
    "DEFAULT_PARSER_CLASSES": ["apikeys.parsing.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apikeys.parsing.AlwaysJson",
    "EXCEPTION_HANDLER": "apikeys.errors.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "console.api_docs.DescribedView",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Agent Console API",
    "DESCRIPTION": "The WebConnect-compatible API (`/api/v2`) and the console's own (`/api/console/v1`).",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["console.api_docs.with_problem"],
}
CONSOLE_API_ORIGINS = setting(
    "CONSOLE_API_ORIGINS",
    "",
    "the origins (`https://host`) whose pages may call the API from a browser, with commas between; empty: none",
    origins,
)
CONSOLE_API_KEY_LONGEST_DAYS = setting(
    "CONSOLE_API_KEY_LONGEST_DAYS", "365", "days that an API key may be valid at the most", whole(1, 3650)
)

# --- The audit log taken away ------------------------------------------------------------------------------------


def _folder(value: str) -> Path | None:
    return BASE_DIR / Path(value).expanduser() if value else None


CONSOLE_AUDIT_EXPORT_DIR = setting(
    "CONSOLE_AUDIT_EXPORT_DIR",
    "",
    "the folder of exports of the audit log; several hosts share it; empty: `exports` in the data folder",
    _folder,
)
CONSOLE_AUDIT_EXPORT_HOURS = setting(
    "CONSOLE_AUDIT_EXPORT_HOURS", "24", "hours that the file of an export is kept", number(0.01, 24 * 90)
)
CONSOLE_AUDIT_EXPORTS_EACH = setting(
    "CONSOLE_AUDIT_EXPORTS_EACH", "10", "exports that one person or API key may have at a time", whole(1, 1_000)
)
CONSOLE_AUDIT_EXPORT_MEGABYTES = setting(
    "CONSOLE_AUDIT_EXPORT_MEGABYTES", "4096", "MB that one export may grow to", whole(1, 1_000_000)
)
CONSOLE_AUDIT_STREAM_DIR = setting(
    "CONSOLE_AUDIT_STREAM_DIR",
    "",
    "the folder in which sinks of the audit log may write files; empty: `streams` in the data folder",
    _folder,
)
CONSOLE_AUDIT_REVIEW_DAYS = setting(
    "CONSOLE_AUDIT_REVIEW_DAYS",
    "365",
    "days after which an event that nobody has reviewed is no longer listed as such",
    whole(1, 36_500),
)

CONSOLE_AUDIT_ARCHIVE_DIR = setting(
    "CONSOLE_AUDIT_ARCHIVE_DIR",
    "",
    "the folder of archives of the audit log's old events; several hosts share it; empty: `archive` in the data folder",
    _folder,
)
CONSOLE_AUDIT_CHECKPOINT_FILE = setting(
    "CONSOLE_AUDIT_CHECKPOINT_FILE",
    "",
    "a file to which each checkpoint of the audit log is appended, best on another machine; empty: none",
    _folder,
)
CONSOLE_AUDIT_CHECKPOINT_WEBHOOK = setting(
    "CONSOLE_AUDIT_CHECKPOINT_WEBHOOK",
    "",
    "the address to which each checkpoint of the audit log is posted; empty: none",
    url("https"),
)

# --- Mail --------------------------------------------------------------------------------------------------------


def _mailer(value: str) -> dict[str, object]:
    """Of Django's `MAILERS`, from `smtp://user:password@host:port` or `smtps://…`."""
    url("smtp", "smtps")(value)
    if not value:
        return {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        # Not the parser's own words: they may quote a part of the password.
        raise ValueError("is not of the form smtps://user:password@host:port, with %2F for / and so on") from None
    secure = parts.scheme == "smtps"
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": parts.hostname,
            "port": port or (465 if secure else 587 if parts.username else 25),
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "use_ssl": secure,
            # A password is never sent in the open.
            "use_tls": not secure and bool(parts.username),
            "timeout": 20,
        },
    }


MAILERS = {
    "default": setting(
        "CONSOLE_MAIL_URL",
        "",
        "the mail server (`smtps://user:password@host:port`, or `smtp://`, which uses STARTTLS where a user is given); "
        "empty: mails are printed into the log",
        _mailer,
        secret=True,
    )
}
DEFAULT_FROM_EMAIL = setting("CONSOLE_MAIL_FROM", "agent-console@localhost", "the sender of mails", text)

# --- Celery ------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or bundled_redis.url(CONSOLE_DATA_DIR)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A nudge must cost a click next to nothing where Redis is away: the row is the outbox, the sweep finds it.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 0,
    "socket_connect_timeout": 0.2,
    "socket_timeout": 3,
    "visibility_timeout": 300,
}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = None
CONSOLE_WORKER_THREADS = setting(
    "CONSOLE_WORKER_THREADS",
    "32",
    "tasks that one worker does at once; each may hold a connection to the database",
    whole(2, 256),
)
CELERY_WORKER_CONCURRENCY = CONSOLE_WORKER_THREADS
CONSOLE_BULK_CALLS = setting(
    "CONSOLE_BULK_CALLS",
    "128",
    "calls to remotes that one worker has under way at once for operations of many; they hold no connection to the "
    "database",
    whole(2, 256),
)
CELERY_WORKER_DIRECT = True  # A queue of its own for each worker: its heartbeat must not be taken by another.
CELERY_BEAT_SCHEDULE_FILENAME = str(CONSOLE_DATA_DIR / "celerybeat-schedule")

# --- The waits of the program (docs/architecture.md says where each is used) ---------------------------------------


def _seconds(name: str, default: str, meaning: str, most: float = 86_400) -> timedelta:
    return timedelta(seconds=setting(name, default, f"seconds: {meaning}", number(0.01, most)))


CONSOLE_HEARTBEAT = _seconds("CONSOLE_HEARTBEAT_SECONDS", "5", "between two signs of life of a worker and of beat", 60)
CONSOLE_HEARTBEAT_SILENCE = _seconds(
    "CONSOLE_HEARTBEAT_SILENCE_SECONDS", "30", "without a sign of life after which `up` starts a part again", 3600
)
CONSOLE_HEARTBEAT_GRACE = _seconds(
    "CONSOLE_HEARTBEAT_GRACE_SECONDS", "30", "on top of that while a part starts, or Redis has just come back", 3600
)
CONSOLE_STOP_WITHIN = _seconds(
    "CONSOLE_STOP_SECONDS", "15", "that a part may take to end what it has in hand before `up` kills it", 600
)
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "heartbeat": {
        "task": "console.beat_alive",
        "schedule": CONSOLE_HEARTBEAT,
        "options": {"expires": 2 * CONSOLE_HEARTBEAT.total_seconds()},
    },
    # A reminder only: each worker sweeps by itself.
    "sweep": {"task": "agents.sweep", "schedule": timedelta(seconds=10), "options": {"expires": 10}},
    "prune readings": {"task": "agents.prune_readings", "schedule": timedelta(hours=1), "options": {"expires": 3600}},
    # Each warning is given once; what could not be sent is tried again at the next look.
    "look after keys": {
        "task": "apikeys.look_after_keys",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "clear sign-ins": {"task": "console.clear_sign_ins", "schedule": timedelta(hours=6), "options": {"expires": 3600}},
}
CONSOLE_API_KEY_USE = _seconds(
    "CONSOLE_API_KEY_USE_SECONDS", "60", "that the counts of an API key's use wait before they are written", 3600
)
CONSOLE_SWEEP = _seconds("CONSOLE_SWEEP_SECONDS", "2", "how often each worker looks for due rows by itself", 60)
CONSOLE_CONNECT_TIMEOUT = _seconds("CONSOLE_CONNECT_SECONDS", "5", "for a connection to a remote to stand", 300)
CONSOLE_READ_TIMEOUT = _seconds("CONSOLE_READ_SECONDS", "20", "for the next bytes of a remote's answer", 300)
CONSOLE_ATTEMPT_LIMIT = _seconds("CONSOLE_ATTEMPT_SECONDS", "30", "for one whole call, trickled answers included", 600)
CONSOLE_LEASE_MARGIN = _seconds(
    "CONSOLE_LEASE_MARGIN_SECONDS", "30", "that a lease outlasts the attempt it covers", 600
)
CONSOLE_SEND_WITHIN = _seconds("CONSOLE_SEND_WITHIN_SECONDS", "900", "after which a disconnection is no longer sent")
CONSOLE_UNREADABLE_LIMIT = _seconds(
    "CONSOLE_UNREADABLE_LIMIT_SECONDS",
    "1800",
    "that an unreadable list can put off a final state at the most",
)
CONSOLE_REFUSAL = _seconds(
    "CONSOLE_REFUSAL_SECONDS", "600", "of silence after a 429 whose Retry-After is absent or absurd", 3600
)
CONSOLE_RETRY_FIRST = _seconds(
    "CONSOLE_RETRY_FIRST_SECONDS", "1", "before a call that never arrived is tried again", 60
)
CONSOLE_RETRY_MOST = _seconds("CONSOLE_RETRY_MOST_SECONDS", "60", "between two tries at the most", 3600)
CONSOLE_AUDIT_RETRY_FIRST = _seconds(
    "CONSOLE_AUDIT_RETRY_FIRST_SECONDS",
    "5",
    "before a sink that took no events is tried again; doubled each time",
    3600,
)
CONSOLE_AUDIT_RETRY_MOST = _seconds(
    "CONSOLE_AUDIT_RETRY_MOST_SECONDS", "600", "between two tries of such a sink at the most"
)
CONSOLE_AUDIT_CHECKPOINT = _seconds(
    "CONSOLE_AUDIT_CHECKPOINT_SECONDS", "3600", "between two checkpoints of the audit log", 604_800
)
CONSOLE_AUDIT_CHECK = _seconds(
    "CONSOLE_AUDIT_CHECK_SECONDS", "3600", "between two checks of what is new in the audit log", 604_800
)
CONSOLE_AUDIT_FULL_CHECK = _seconds(
    "CONSOLE_AUDIT_FULL_CHECK_SECONDS", "86400", "between two checks of the whole audit log", 31_536_000
)
CONSOLE_AUDIT_CUT_EVERY = _seconds(
    "CONSOLE_AUDIT_CUT_SECONDS",
    "86400",
    "between two cuts of the audit log, where events are not kept for ever",
    31_536_000,
)
CONSOLE_CONFIRM_PAUSE = _seconds(
    "CONSOLE_CONFIRM_PAUSE_SECONDS", "1", "between the first readings that may confirm an outcome", 60
)
CONSOLE_COMMAND_PAUSE = _seconds(
    "CONSOLE_COMMAND_PAUSE_SECONDS", "0.5", "between two looks of `manage.py disconnect --wait`", 60
)
CONSOLE_STALE = _seconds(
    "CONSOLE_STALE_SECONDS", "60", "after which a list is stale, so that a task reads before it sends"
)
CONSOLE_CAME_BACK_WITHIN = _seconds(
    "CONSOLE_CAME_BACK_SECONDS",
    "10800",
    "in which a disconnected agent's new session counts as its return",
    604_800,
)
CONSOLE_KEEP_READINGS = _seconds(
    "CONSOLE_KEEP_READINGS_SECONDS", "86400", "that the list of past readings is kept", 31_536_000
)

# --- FDC3 bridges --------------------------------------------------------------------------------------------------
CONSOLE_BRIDGE_LOOK = _seconds(
    "CONSOLE_BRIDGE_LOOK_SECONDS", "0.5", "between two looks of a bridge's process for what it is to do", 60
)
CONSOLE_BRIDGE_HEARTBEAT = _seconds(
    "CONSOLE_BRIDGE_HEARTBEAT_SECONDS",
    "2",
    "between two times that a bridge's process writes its agents and channels to the database",
    600,
)
CONSOLE_BRIDGE_SILENCE = _seconds(
    "CONSOLE_BRIDGE_SILENCE_SECONDS", "6", "of a bridge's process after which its list counts as unreadable", 3600
)
CONSOLE_BRIDGE_CONFIRM = _seconds(
    "CONSOLE_BRIDGE_CONFIRM_SECONDS", "30", "in which a bridge must have ended what it agreed to end", 3600
)
CONSOLE_BRIDGE_KEY_CHECK = _seconds(
    "CONSOLE_BRIDGE_KEY_CHECK_SECONDS",
    "10",
    "between two looks whether the API keys of connected desktop agents still open the bridge",
    3600,
)
CONSOLE_BRIDGE_EVENTS = setting(
    "CONSOLE_BRIDGE_EVENTS",
    "60",
    "events of desktop agents that a bridge records one by one in a minute; more are counted and recorded as one",
    whole(1, 100_000),
)

# --- Words and times ---------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

CONSOLE_LOG_LEVEL = setting(
    "CONSOLE_LOG_LEVEL",
    "INFO",
    "the least important messages that are logged: DEBUG, INFO, WARNING or ERROR",
    one_of("DEBUG", "INFO", "WARNING", "ERROR"),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "console.log_format.Formatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
            "datefmt": "%H:%M:%S",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": CONSOLE_LOG_LEVEL},
    "loggers": {
        # What was received and what succeeded is in the audit log and on the pages; here it would be noise.
        "celery": {"level": "WARNING"},
        "gunicorn": {"level": "WARNING"},
    },
}
