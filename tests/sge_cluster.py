"""A Grid Engine on this machine for as long as a test needs it: a master, one node, a GPU that is none.

All of it is in a temporary folder, which ``SGE_ROOT`` names: a Grid Engine that the machine may have is not seen.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from made_workflow import ENVIRONMENT
from slurm_cluster import descendants, free_ports, opened, processes, read_pid

SHARED = Path("/usr/share/gridengine")
PROGRAMS = Path("/usr/lib/gridengine")
DAEMONS = ("sge_qmaster", "sge_execd")
NEEDED = (*DAEMONS, "qsub", "qconf", "qacct")
BOOTSTRAP = """\
Version: 6.2
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {folder}/hooknet/common;{folder}/qmaster
binary_path {folder}/bin
qmaster_spool_dir {folder}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
#: What differs from the configuration that the packages bring.  Accounts are written at once.
CONFIGURATION = {
    "execd_spool_dir": "{folder}/execd",
    "min_uid": "0",
    "min_gid": "0",
    "mailer": "/bin/true",
    "administrator_mail": "none",
    "gid_range": "64000-64100",
    "load_report_time": "00:00:05",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:05 accounting_flush_time=00:00:00 "
    "joblog=false sharelog=00:00:00",
}
#: Counted once a job, however many slots that has.
COMPLEX = "gpu gpu INT <= YES JOB 0 0"
#: Has a hundred times the memory that is free: what jobs ask for is compared with it, and only noted.
NODE = """\
hostname localhost
load_scaling mem_free=100.000000
complex_values gpu={gpus}
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""
PARALLEL = """\
pe_name smp
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


def missing() -> str | None:
    """Why no Grid Engine can be set up here, in words; None where it can."""
    for name in NEEDED:
        if shutil.which(name) is None:
            return f"no {name}: apt-get install gridengine-master gridengine-exec gridengine-client"
    if not (PROGRAMS / "spooldefaults").exists():
        return f"no {PROGRAMS}: it is not of Debian's packages"
    if find_spec("snakemake_executor_plugin_cluster_generic") is None:
        return "no executor of clusters: pip install -e '.[cluster]'"
    if os.geteuid() != 0:
        return "only root can set up a Grid Engine"
    if Path("/run/systemd/system").exists() and os.environ.get("CI") != "true":
        return "this is no container: it is set up on machines for tests only (CI=true says that it is one)"
    return None


@dataclass(frozen=True)
class Cluster:
    """Where its files are, and what to say to its programs."""

    folder: Path
    environment: dict[str, str]

    def told(self, *words: str, check: bool = True) -> str:
        """What one of its programs says."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def accounts(self) -> list[dict[str, str]]:
        """All jobs that have ended, in that order, as ``qacct`` tells them."""
        parts = self.told("qacct", "-j", "*", check=False).split("=" * 62)
        fields = [[line.split(None, 1) for line in part.splitlines()] for part in parts]
        return [{one[0]: one[1].strip() for one in part if len(one) == 2} for part in fields if part]

    def queued(self) -> list[dict[str, str]]:
        """All jobs that have not ended (number, name, state: ``r`` runs, ``qw`` waits)."""
        words = {"JB_job_number": "number", "JB_name": "name", "state": "state"}
        found = ElementTree.fromstring(self.told("qstat", "-u", "*", "-xml")).iter("job_list")
        return [{word: job.findtext(tag, "") for tag, word in words.items()} for job in found]

    def stop_job(self, number: str) -> None:
        """Let the processes of a job do nothing more, as where a disk does not answer."""
        for shepherd in processes("sge_shepherd"):
            if f"{self.folder}/execd/localhost/active_jobs/{number}." in opened(shepherd):
                for pid in descendants(shepherd):
                    os.kill(pid, signal.SIGSTOP)


def write_root(folder: Path) -> None:
    """The folder that ``SGE_ROOT`` names: programs, who is the master, where things are kept."""
    common = folder / "hooknet" / "common"
    common.mkdir(parents=True)
    for name in ("qmaster", "execd"):
        (folder / name).mkdir()
    architecture = subprocess.run([SHARED / "util" / "arch"], capture_output=True, text=True, check=True)
    for name in ("bin", "utilbin"):
        (folder / name).mkdir()
        (folder / name / architecture.stdout.strip()).symlink_to(PROGRAMS)
    (folder / "util").symlink_to(SHARED / "util")
    (common / "bootstrap").write_text(BOOTSTRAP.format(folder=folder))
    (common / "act_qmaster").write_text("localhost\n")
    (common / "host_aliases").write_text(f"localhost {socket.gethostname()}\n")


def write_spool(cluster: Cluster) -> None:
    """What the packages bring, spooled, with our configuration."""
    changed = cluster.folder / "configuration"
    given = (SHARED / "default-configuration").read_text().splitlines()
    lines = [line for line in given if line.split()[:1] and line.split()[0] not in CONFIGURATION]
    lines += [f"{key} {value.format(folder=cluster.folder)}" for key, value in CONFIGURATION.items()]
    changed.write_text("\n".join(lines) + "\n")
    resources = SHARED / "util" / "resources"
    spool = str(PROGRAMS / "spooldefaults")
    parameters = f"{cluster.folder}/hooknet/common;{cluster.folder}/qmaster"
    cluster.told(str(PROGRAMS / "spoolinit"), "classic", "libspoolc", parameters, "init")
    cluster.told(spool, "configuration", str(changed))
    cluster.told(spool, "complexes", str(resources / "centry"))
    cluster.told(spool, "usersets", str(resources / "usersets"))
    cluster.told(spool, "managers", "root")


def told_from_file(cluster: Cluster, option: str, text: str) -> None:
    path = cluster.folder / "settings"
    path.write_text(text)
    cluster.told("qconf", option, str(path))


def configure(cluster: Cluster, slots: int, gpus: int) -> None:
    """A node, a parallel environment, the GPUs and a queue, as an administrator would."""
    told_from_file(cluster, "-Mc", cluster.told("qconf", "-sc") + COMPLEX + "\n")
    for role in ("-ah", "-as"):
        cluster.told("qconf", role, "localhost", check=False)
    told_from_file(cluster, "-Ae", NODE.format(gpus=gpus))
    told_from_file(cluster, "-Ap", PARALLEL)
    schedule = cluster.told("qconf", "-ssconf").splitlines()
    quick = ["schedule_interval 0:0:2" if "schedule_interval" in line else line for line in schedule]
    told_from_file(cluster, "-Msconf", "\n".join(quick) + "\n")
    queue = {"hostlist": "localhost", "slots": str(slots), "pe_list": "smp", "load_thresholds": "NONE"}
    given = cluster.told("qconf", "-sq").splitlines()
    lines = [line for line in given if line.split()[0] not in {"qname", *queue}]
    text = "\n".join(["qname all.q", *(f"{key} {value}" for key, value in queue.items()), *lines])
    told_from_file(cluster, "-Aq", text + "\n")


def stop(folder: Path) -> None:
    """End all that the Grid Engine of a folder has started."""
    shepherds = [pid for pid in processes("sge_shepherd") if str(folder) in opened(pid)]
    doomed = [pid for shepherd in shepherds for pid in descendants(shepherd)]
    known = {pid for name in DAEMONS for pid in processes(name)}
    daemons = [pid for path in folder.glob("**/*.pid") for pid in read_pid(path) if pid in known]
    for pid in [*daemons, *shepherds, *doomed]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(done: Callable[[], bool], what: str, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.3)


@contextlib.contextmanager
def running(folder: Path, slots: int = 8, gpus: int = 1) -> Iterator[Cluster]:
    """A Grid Engine whose state is in ``folder``."""
    ports = free_ports(2)
    names = {"SGE_ROOT": str(folder), "SGE_CELL": "hooknet"}
    names |= {"SGE_QMASTER_PORT": str(ports[0]), "SGE_EXECD_PORT": str(ports[1])}
    cluster = Cluster(folder, {**ENVIRONMENT, **names})
    try:
        write_root(folder)
        write_spool(cluster)
        cluster.told("sge_qmaster")
        wait_until(lambda: bool(cluster.told("qconf", "-sm", check=False)), "the master answers")
        configure(cluster, slots, gpus)
        cluster.told("sge_execd")
        wait_until(lambda: "lx-" in cluster.told("qhost", "-h", "localhost"), "the node is there")
        yield cluster
    finally:
        stop(folder)
