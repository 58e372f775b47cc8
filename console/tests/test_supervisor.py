"""The supervisor with parts that are one line of Python each."""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from console import bundled_redis
from console.supervision.child import Child, Look
from console.supervision.identity import Identity, identify
from console.supervision.output import Output
from console.supervision.parts import redis_part
from console.supervision.run_file import AlreadyRunning, RunFile, end_all
from console.supervision.running import Started
from console.supervision.supervisor import Supervisor, Waits
from console.supervision.watch import Watch
from console.tests.eventually import eventually
from console.tests.real_console import alive

WAITS = Waits(
    ready=5, stop=0.5, first_restart=0.05, longest_restart=0.1, again=0, watch=Watch(every=0.05, silence=0.2, grace=0.2)
)
SLEEP = "import time; print('at work', flush=True); time.sleep(60)"


def python(name: str, code: str, **more: object) -> Child:
    return replace(Child(name, [sys.executable, "-S", "-c", code]), **more)


class Bench:
    """A supervisor in the main thread (it owns the signals), and the test in another, which ends it at last."""

    def __init__(self, *children: Child, waits: Waits = WAITS) -> None:
        self.text = io.StringIO()
        self.running: dict[str, Identity] = {}
        self.announced = 0
        self.supervisor = Supervisor(
            children, Output(self.text), waits=waits, note_running=self._note, all_ready=self._announce
        )

    def _note(self, running: dict[str, Identity]) -> None:
        self.running = running

    def _announce(self) -> None:
        self.announced += 1

    def pid(self, name: str) -> int | None:
        return self.running[name].pid if name in self.running else None

    def said(self, words: str) -> bool:
        return words in self.text.getvalue()

    def run(self, test: Callable[[], object]) -> None:
        failures: list[BaseException] = []

        def act() -> None:
            try:
                test()
            except BaseException as failure:
                failures.append(failure)
            self.supervisor.stop()

        actor = threading.Thread(target=act)
        actor.start()
        self.supervisor.run()
        actor.join()
        assert not failures, (failures, self.text.getvalue())
        assert self.running == {}


def test_lines_carry_the_name_of_the_part() -> None:
    bench = Bench(python("web", SLEEP))

    bench.run(lambda: eventually(lambda: bench.said("web     │ at work\n")))


def test_a_part_that_dies_is_started_again_ever_later() -> None:
    bench = Bench(python("web", "raise SystemExit(3)"))

    bench.run(lambda: eventually(lambda: bench.text.getvalue().count("web ended with code 3") >= 3))

    assert bench.said("it is started again in 0.05 s.")
    assert bench.said("it is started again in 0.1 s.")
    assert not bench.said("0.2 s")


def test_a_part_is_asked_for_its_arguments_at_each_start() -> None:
    numbers = iter(range(9))
    child = python("odd", "import sys; print('given', sys.argv[1])", arguments=lambda: [str(next(numbers))])
    bench = Bench(child)

    bench.run(lambda: eventually(lambda: bench.said("given 0") and bench.said("given 1")))


def test_a_stage_waits_for_the_one_below(tmp_path: Path) -> None:
    sign = tmp_path / "ready"
    slow = python("redis", f"import time; time.sleep(.3); open({str(sign)!r}, 'w'); time.sleep(60)", stage=0)
    hasty = python("web", f"import os; print('found', os.path.exists({str(sign)!r})); " + SLEEP, stage=1)
    bench = Bench(replace(slow, ready=sign.exists), hasty)

    bench.run(lambda: eventually(lambda: bench.said("found ") and bench.announced))

    assert bench.said("found True")
    assert bench.announced == 1


def test_a_stage_that_is_never_ready_holds_up_nothing_for_ever() -> None:
    bench = Bench(
        python("redis", SLEEP, stage=0, ready=lambda: False), python("web", SLEEP), waits=replace(WAITS, ready=0.2)
    )

    bench.run(lambda: eventually(lambda: bench.pid("web")))

    assert bench.said("redis is not ready after 0.2 s")


def test_the_highest_stage_ends_first() -> None:
    says_so = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(.1), print('bye'), sys.exit()));"
    bench = Bench(python("redis", says_so + SLEEP, stage=0), python("web", says_so + SLEEP, stage=2))

    bench.run(lambda: eventually(lambda: bench.text.getvalue().count("at work") == 2))

    text = bench.text.getvalue()
    assert text.index("web     │ bye") < text.index("redis   │ bye")


def test_one_that_does_not_end_is_killed_with_its_group() -> None:
    stubborn = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN); print('child', os.fork() or ''); time.sleep(60)"
    )
    bench = Bench(python("web", stubborn))

    bench.run(lambda: eventually(lambda: bench.text.getvalue().count("child") == 2))

    assert bench.said("web has not ended in 0.5 s and is killed.")
    children = [int(line.split()[-1]) for line in bench.text.getvalue().splitlines() if line[-1].isdigit()]
    eventually(lambda: not any(alive(pid) for pid in children))


def test_asking_twice_kills() -> None:
    bench = Bench(
        python("web", "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEP), waits=replace(WAITS, stop=60)
    )

    def ask() -> None:
        eventually(lambda: bench.said("at work"))
        bench.supervisor.stop()

    bench.run(ask)

    assert bench.said("Asked again: everything is killed.")


def test_one_signal_that_arrives_twice_is_one() -> None:
    bench = Bench(python("web", SLEEP), waits=replace(WAITS, again=60))

    def ask() -> None:
        eventually(lambda: bench.said("at work"))
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    bench.run(ask)

    assert not bench.said("Asked again")


def test_a_silent_part_is_started_again() -> None:
    bench = Bench(python("worker", SLEEP, look=lambda: Look.SILENT))

    bench.run(lambda: eventually(lambda: bench.text.getvalue().count("at work") >= 2))

    assert bench.said("worker has shown no sign of life for 0.2 s; it is started again.")


@pytest.mark.parametrize("look", [Look.BEATING, Look.UNFAIR])
def test_a_part_is_left_alone_while_it_beats_or_cannot_be_judged(look: Look) -> None:
    looks = []
    bench = Bench(python("worker", SLEEP, look=lambda: looks.append(look) or look))

    bench.run(lambda: eventually(lambda: len(looks) > 12))

    assert bench.text.getvalue().count("at work") == 1


def test_children_die_with_their_parent() -> None:
    if sys.platform != "linux":
        pytest.skip("Only Linux tells a child of its parent's death.")
    parent = python(
        "parent",
        f"import sys, time; sys.path[:0] = [{os.getcwd()!r}]\n"
        "from console.supervision.running import Started; from console.supervision.child import Child\n"
        "child = Started(Child('c', [sys.executable, '-S', '-c', 'import time; time.sleep(60)']), print)\n"
        "print(child.identity.pid, flush=True); time.sleep(60)",
    )
    lines: list[str] = []
    running = Started(replace(parent, command=[sys.executable, *parent.command[2:]]), lines.append)
    pid = int(eventually(lambda: [line for line in lines if line.isdigit()])[0])

    assert alive(pid)
    os.kill(running.identity.pid, signal.SIGKILL)

    eventually(lambda: not alive(pid))
    running.wait()


def test_what_was_left_running_is_found_and_ended(tmp_path: Path) -> None:
    left = Started(python("web", SLEEP), lambda line: None)
    before = RunFile(tmp_path)
    before.note({"web": left.identity, "worker": Identity(os.getpid(), "another start")})
    before._lock.close()  # As when it is killed.

    after = RunFile(tmp_path)
    found = after.leftovers()
    waiter = threading.Thread(target=left.wait)
    waiter.start()
    end_all(found, within=5)

    assert found == [left.identity]
    assert not left.identity.is_alive()
    waiter.join()
    after.close()


def test_one_up_a_folder(tmp_path: Path) -> None:
    first = RunFile(tmp_path)

    with pytest.raises(AlreadyRunning) as refused:
        RunFile(tmp_path)

    assert refused.value.pid == str(os.getpid())
    first.close()
    RunFile(tmp_path).close()


def test_a_number_given_again_is_another_process() -> None:
    mine = identify(os.getpid())

    assert mine and mine.is_alive()
    assert not Identity(mine.pid, "long ago").is_alive()
    assert identify(2**22 + 1) is None


@pytest.fixture
def long_folder(tmp_path: Path) -> Path:
    folder = tmp_path / ("a long name with blanks " * 4).strip()
    folder.mkdir()
    return folder


def test_a_redis_left_running_is_used_and_ended_at_last(long_folder: Path) -> None:
    bundled_redis.prepare(long_folder)
    assert len(os.fsencode(bundled_redis.socket_path(long_folder))) <= bundled_redis.LONGEST_SOCKET_PATH
    left = Started(redis_part(long_folder), lambda line: None)
    waiter = threading.Thread(target=left.wait)
    waiter.start()
    eventually(lambda: bundled_redis.answering_pid(long_folder))
    bench = Bench(redis_part(long_folder))

    bench.run(lambda: eventually(lambda: bench.pid("redis") == left.identity.pid))

    assert bench.said("redis runs already")
    waiter.join()
    assert (long_folder / "redis" / "appendonlydir").is_dir()


def test_a_socket_folder_of_somebody_else_is_refused(long_folder: Path, tmp_path: Path) -> None:
    bundled_redis.socket_path(long_folder).parent.symlink_to(tmp_path)
    try:
        with pytest.raises(bundled_redis.UnsafeFolder):
            bundled_redis.prepare(long_folder)
    finally:
        bundled_redis.socket_path(long_folder).parent.unlink()
