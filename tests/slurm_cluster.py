"""A SLURM cluster on this machine for as long as a test needs it: a controller, two virtual nodes, a GPU that is none.

SLURM looks for its configuration in /etc/slurm only (a job's own calls do not see ``SLURM_CONF``), so that is where
it is put; one that is there already is never touched.  All else is in a temporary folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
LOCK = Path("/tmp/hooknet-slurm-tests.lock")
#: Head of the files that may be overwritten and removed.
OURS = "# Made by the tests of hooknet, which remove it: "
NODES = ("n1", "n2")
#: That are always there: jobs get CUDA_VISIBLE_DEVICES, and find no GPU.
DEVICES = ("/dev/null", "/dev/zero")
DAEMONS = ("slurmctld", "slurmd", "munged")
#: Nodes claim more than the machine may have: memory and cores are only counted.  What a job uses is looked at each
#: second, and ends it where that is more than it asked for.
SETTINGS = """\
ClusterName=hooknet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=NoShared,OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_interval=5,bf_interval=5
ReturnToService=2
MinJobAge=3600
SlurmdTimeout=10
KillWait=2
OverTimeLimit=0
MpiDefault=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 Port={ports[1]} {size} {gres[0]} Weight=2
NodeName=n2 Port={ports[2]} {size} {gres[1]} Weight=1
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=10080 OverSubscribe=NO State=UP
PartitionName=gpu Nodes={with_gpu} MaxTime=10080 State=UP
"""
#: Of a node; it is on this machine too.
SIZE = (
    "NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 "
    "RealMemory=32000"
)


def missing() -> str | None:
    """Why no cluster can be set up here, in words; None where it can."""
    lacking = [name for name in (*DAEMONS, "sbatch", "srun") if shutil.which(name) is None]
    if lacking:
        return f"no {lacking[0]}: apt-get install slurm-wlm munge"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "no executor of SLURM: pip install -e '.[slurm]'"
    if os.geteuid() != 0:
        return "only root can set up a cluster"
    if Path("/run/systemd/system").exists() and os.environ.get("CI") != "true":
        return "this is no container: a cluster is set up on machines for tests only (CI=true says that it is one)"
    present = CONFIGURATION / "slurm.conf"
    if present.exists() and not present.read_text().startswith(OURS):
        return f"{present} is not ours"
    return None


@dataclass(frozen=True)
class Cluster:
    """Where its files are."""

    folder: Path

    def start_node(self, name: str) -> None:
        """A node's daemon."""
        subprocess.run(["slurmd", "-N", name], check=True, capture_output=True)

    def lose_node(self, name: str) -> None:
        """End a node as a power cut would: its daemon, the keepers of its jobs and what these run."""
        # A keeper writes to the log of its node; its command does not say whose it is.
        log = str(self.folder / f"slurmd.{name}.log")
        steps = [pid for pid in processes("slurmstepd") if log in opened(pid)]
        doomed = [*read_pid(self.folder / f"slurmd.{name}.pid"), *steps]
        for pid in [*doomed, *(below for step in steps for below in descendants(step))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop_job(self, number: str) -> None:
        """Let the processes of a job do nothing more, as where a disk does not answer."""
        for step in processes("slurmstepd"):
            words = Path(f"/proc/{step}/cmdline").read_bytes().decode().replace("\0", " ")
            if f"[{number}." in words:
                for pid in descendants(step):
                    os.kill(pid, signal.SIGSTOP)


def jobs(*options: str) -> list[dict[str, str]]:
    """All jobs that the controller knows, as ``scontrol show job`` tells them."""
    told = subprocess.run(
        ["scontrol", "--oneliner", "--details", "show", "job", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        dict(part.split("=", 1) for part in line.split() if "=" in part)
        for line in told.stdout.splitlines()
        if line.startswith("JobId=")
    ]


def processes(name: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
    return found


def opened(pid: int) -> str:
    """Files that a process has open, and where it works."""
    links = []
    for link in [*Path(f"/proc/{pid}/fd").glob("*"), Path(f"/proc/{pid}/cwd")]:
        with contextlib.suppress(OSError):
            links.append(os.readlink(link))
    return "\n".join(links)


def descendants(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found


def read_pid(path: Path) -> list[int]:
    try:
        return [int(path.read_text())]
    except (OSError, ValueError):
        return []


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def write_configuration(folder: Path, gpus: tuple[int, int]) -> None:
    host = socket.gethostname().split(".")[0]
    head = f"{OURS}{folder}\n"
    CONFIGURATION.mkdir(exist_ok=True)
    size = SIZE.format(host=host)
    there = dict(zip(NODES, gpus, strict=True))
    settings = SETTINGS.format(
        host=host,
        folder=folder,
        ports=free_ports(3),
        size=size,
        gres=[f"Gres=gpu:{count}" if count else "" for count in gpus],
        with_gpu=",".join(name for name, count in there.items() if count),
    )
    (CONFIGURATION / "slurm.conf").write_text(head + settings)
    lines = [
        f"NodeName={name} Name=gpu File={','.join(DEVICES[:count])}\n"
        for name, count in there.items()
        if count
    ]
    (CONFIGURATION / "gres.conf").write_text(head + "".join(lines))


def start_munge(folder: Path) -> None:
    """A keeper of keys of our own, beside any that the machine may run."""
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    options = {"socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
    named = [f"--{option}={files[name]}" for name, option in options.items()]
    subprocess.run(["munged", "--force", f"--key-file={key}", *named], check=True, capture_output=True)


def stop(folder: Path) -> None:
    """End all that the cluster of a folder has started, and take its configuration away."""
    daemons = [pid for path in folder.glob("*.pid") for pid in read_pid(path)]
    steps = [pid for pid in processes("slurmstepd") if str(folder) in opened(pid)]
    known = {pid for name in (*DAEMONS, "slurmstepd") for pid in processes(name)}
    ours = [pid for pid in (*daemons, *steps) if pid in known]
    for pid in [*ours, *(below for step in steps for below in descendants(step))]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for name in ("slurm.conf", "gres.conf"):
        path = CONFIGURATION / name
        if path.exists() and path.read_text().startswith(f"{OURS}{folder}\n"):
            path.unlink()


def stop_what_was_left() -> None:
    """A cluster of tests that were killed."""
    path = CONFIGURATION / "slurm.conf"
    if path.exists():
        stop(Path(path.read_text().splitlines()[0].removeprefix(OURS)))


def wait_until_idle(timeout: float = 60) -> None:
    """Until all nodes can take jobs."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        told = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%N %t"], capture_output=True, text=True, check=False
        )
        states = dict(line.split() for line in told.stdout.splitlines())
        if states == dict.fromkeys(NODES, "idle"):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the nodes were not ready within {timeout:g} s: {told.stdout}{told.stderr}")


def wait_until_silent(node: str, timeout: float = 120) -> None:
    """Until the controller has noticed that a node does not answer (its state is marked with a star, or down)."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        told = subprocess.run(
            ["sinfo", "-h", "-n", node, "-o", "%t"], capture_output=True, text=True, check=True
        )
        if "*" in told.stdout or told.stdout.startswith("down"):
            return
        time.sleep(0.5)
    raise TimeoutError(f"node {node} still answers after {timeout:g} s: {told.stdout}")


@contextlib.contextmanager
def running(folder: Path, gpus: tuple[int, int] = (1, 0)) -> Iterator[Cluster]:
    """A cluster whose state is in ``folder``, with GPUs on each node; one at a time on a machine."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stop_what_was_left()
        cluster = Cluster(folder)
        (folder / "state").mkdir(parents=True)
        for name in NODES:
            (folder / f"spool.{name}").mkdir()
        try:
            write_configuration(folder, gpus)
            start_munge(folder)
            subprocess.run(["slurmctld"], check=True, capture_output=True)
            for name in NODES:
                cluster.start_node(name)
            wait_until_idle()
            yield cluster
        finally:
            stop(folder)
