"""One spark-submit measured from outside: its time, its event log, and the memory of its Python workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import processes
from tests.benchmark import event_log
from tests.benchmark.event_log import Timeline
from tests.submit import REPOSITORY, SPARK_SUBMIT

_SAMPLE_SECONDS = 0.2  # between two looks at the workers' high-water marks; a worker lives for a minute when idle
_DAEMON = b"pyspark.daemon"


@dataclass(frozen=True)
class Submitted:
    """What one run took."""

    process_seconds: float
    #: From Spark's session to the end of the process: a night without Spark's start-up.
    session_seconds: float
    timeline: Timeline
    worker_bytes: int  # the largest high-water mark (VmHWM) of a Python worker
    driver_bytes: int  # those of the driver's processes, Java and Python, together
    #: Seconds from a worker's fork to its first batch of results, the slowest worker's.
    first_batch_seconds: float


def submit(
    work: Path, script: Path, arguments: Sequence[str], master: str = "local[2]", photo_latency: float = 0.0
) -> Submitted:
    """Run `spark-submit SCRIPT ARGUMENTS` with the benchmark's `worker_site` in its Python workers.

    Args:
        work: a folder for the event log, the marks of the workers and the job's own log; emptied first.
        script: a job.
        arguments: of the job.
        master: where Spark runs.
        photo_latency: seconds that each photo by URI takes longer.

    Raises:
        RuntimeError: the job failed, or the latency did not reach its photos.
    """
    shutil.rmtree(work, ignore_errors=True)
    events, marks = work / "events", work / "marks"
    events.mkdir(parents=True)
    marks.mkdir()
    command = [str(SPARK_SUBMIT), "--master", master, *_options(events), str(script), *arguments]
    start, started_at = time.monotonic(), time.time()
    with open(work / "log.txt", "wb") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=_environment(marks, photo_latency), stdout=log, stderr=subprocess.STDOUT
        )
        watch = _Watch(process.pid)
        try:
            code = process.wait()
        finally:
            worker_bytes, driver_bytes = watch.stop()
    seconds = time.monotonic() - start
    if code != 0:
        tail = "\n".join((work / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise RuntimeError(
            f"Expected {script.name} to succeed. Received: exit code {code}; {work}/log.txt ends:\n{tail}"
        )
    if photo_latency and not list(marks.glob("slow-*")):
        raise RuntimeError("Expected the job to read photos by fashion_udf.photos.fetch.read. Received: no slow photo")
    timeline = event_log.read(events)
    first = [float(path.read_text(encoding="utf-8")) for path in marks.glob("first-*")]
    return Submitted(
        process_seconds=seconds,
        session_seconds=started_at + seconds - timeline.session_ready,
        timeline=timeline,
        worker_bytes=worker_bytes,
        driver_bytes=driver_bytes,
        first_batch_seconds=max(first, default=0.0),
    )


def _options(events: Path) -> list[str]:
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.absolute().as_uri(),
        # One plain file, whatever the version's defaults.
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    return [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]


def _environment(marks: Path, photo_latency: float) -> dict[str, str]:
    site = Path(__file__).parent / "worker_site"
    path = [str(site), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    added = {
        "PYTHONPATH": os.pathsep.join(path),
        "PYSPARK_PYTHON": sys.executable,
        "BENCHMARK_MARKS": str(marks.absolute()),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if photo_latency:
        added["BENCHMARK_PHOTO_LATENCY"] = str(photo_latency)
    return {**os.environ, **added}


class _Watch:
    """Follows the memory of a process and those below it, in a thread, until it is stopped."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._workers, self._driver = dict[int, int](), dict[int, int]()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[int, int]:
        """Return the largest high-water mark of a Python worker, and the sum of those of the driver, in bytes."""
        self._finished.set()
        self._thread.join()
        return max(self._workers.values(), default=0), sum(self._driver.values())

    def _follow(self) -> None:
        while not self._finished.wait(_SAMPLE_SECONDS):
            for marks, pids in ((self._workers, workers(self._root)), (self._driver, drivers(self._root))):
                for pid in pids:
                    marks[pid] = max(marks.get(pid, 0), processes.peak(pid))


def workers(root: int) -> list[int]:
    """Return the Python workers below a process: what pyspark's daemon, itself below it, has forked."""
    return [pid for pid, parent in below(root).items() if pid != root and _is_daemon(parent)]


def drivers(root: int) -> list[int]:
    """Return the process and those below it, without pyspark's daemon and its workers.

    A process that runs its parent's program still has its parent's memory: Java starts others so, and one caught in
    that moment doubled what a driver seemed to need.
    """
    return [
        pid
        for pid, parent in below(root).items()
        if not (_is_daemon(pid) or _is_daemon(parent)) and (pid == root or _command(pid) != _command(parent))
    ]


def below(root: int) -> dict[int, int]:
    """Return the process and all below it, each with its parent."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[int(folder.name)] = int(fields[1])
    return {pid: parent for pid, parent in parents.items() if _below(pid, root, parents)}


def _below(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid not in (root, 0):
        pid = parents.get(pid, 0)
    return pid == root


def _is_daemon(pid: int) -> bool:
    return _DAEMON in _command(pid)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""
