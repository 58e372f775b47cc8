import os

from django.core.wsgi import get_wsgi_application

from console.environment import stop_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
application = get_wsgi_application()
stop_if_wrong()
