"""A Celery application with one empty task: the round trip that a click is compared with."""

import os

from celery import Celery

QUEUE = "bench"

app = Celery("bare", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.update(
    task_default_queue=QUEUE,
    worker_pool="threads",
    worker_concurrency=32,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.nothing")
def nothing() -> None:
    pass
