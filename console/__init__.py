# Celery's shared tasks need the application in every process that imports them (Celery's manual for Django).
from console.celery import app as celery_app

__all__ = ["celery_app"]
