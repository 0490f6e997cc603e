"""A real one-node Slurm with accounting and two simulated GPUs, in a separate folder.

All of it (configuration, keys, sockets, database, state, logs) is in that folder, found by commands
through ``SLURM_CONF``; the daemons are children of this process and die with it.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

PACKAGES = ("mariadb-server", "munge", "slurm-client", "slurmctld", "slurmd", "slurmdbd")
DAEMONS = ("mariadbd", "munged", "slurmctld", "slurmd", "slurmdbd")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ACCOUNT = "lab"

CONTROLLER_CONF = """\
ClusterName=reg2st
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={database_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment
ReturnToService=2
KillWait=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:2 Feature=a100
PartitionName=cpu Nodes={host} Default=YES MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes={host} MaxTime=UNLIMITED State=UP
"""

# A GPU needs some device file; these two are always there and nothing is done with them.
GPU_CONF = """\
Name=gpu File=/dev/null
Name=gpu File=/dev/zero
"""

DATABASE_CONF = """\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={database_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={storage_port}
StorageUser=slurm
StoragePass={password}
"""

# A job step forgets SLURM_CONF before it calls srun.
SRUN = """\
#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""


def missing() -> str | None:
    """Why no cluster can be started here; None if one can, after installing what it needs."""
    if os.geteuid() != 0:
        return "Slurm's daemons run as root here, and this is not root"
    if all(map(_command, DAEMONS)):
        return None
    if shutil.which("apt-get") is None:
        return "Slurm is not installed, and there is no apt-get to install it with"
    return _install()


def _install() -> str | None:
    """Install Slurm without starting its services; returns what went wrong."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    policy = Path("/usr/sbin/policy-rc.d")
    forbids = not policy.exists()
    if forbids:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(
                ["apt-get", "--quiet", *command], env=environment, capture_output=True, text=True
            )
            if done.returncode:
                return f"Slurm could not be installed: {done.stderr.strip()}"
    finally:
        if forbids:
            policy.unlink()
    return None


def _command(name: str) -> str | None:
    return shutil.which(name, path=SYSTEM_PATH)


@dataclass(frozen=True)
class Job:
    """Slurm's record of a job; ``start`` and ``end`` are None before their time.

    The plugin's comment names the rule and its wildcards' values, joined by underscores.
    """

    identifier: str
    state: str
    rule: str
    wildcards: str
    account: str
    partition: str
    gpus: int
    cpus: int
    memory_mb: int
    minutes: int
    start: datetime | None
    end: datetime | None

    def overlaps(self, other: "Job") -> bool:
        """Whether both ran at once, by Slurm's clock of whole seconds."""
        return self.start < other.end and other.start < self.end


class Slurm:
    """A cluster that runs while its context is open, of as many cores and memory as it says."""

    def __init__(self, cpus: int = 16, memory_mb: int = 256_000) -> None:
        # A short name: the paths of sockets may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.cpus = cpus
        self.memory_mb = memory_mb
        self.daemons: dict[str, subprocess.Popen] = {}
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("SLURM")}
        self.environment = {
            **inherited,
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}:{SYSTEM_PATH}",
        }

    def __enter__(self) -> "Slurm":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        self._configure()
        self._start_munge()
        self._start_database()
        self.start_controller()
        for record in (
            ("account", ACCOUNT, "Cluster=reg2st"),
            ("user", "root", f"Account={ACCOUNT}", f"DefaultAccount={ACCOUNT}"),
        ):
            self.run("sacctmgr", "--immediate", "add", *record)
        self._start_daemon("slurmd", "-D")
        self._wait(self._idle, 30, "the node never became idle")

    def _configure(self) -> None:
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir()
        ports = ("controller_port", "node_port", "database_port", "storage_port")
        facts = {
            "folder": self.folder,
            "host": socket.gethostname().split(".")[0],
            "cpus": self.cpus,
            "memory_mb": self.memory_mb,
            "password": secrets.token_hex(16),
            "srun": _command("srun"),
            **dict(zip(ports, _free_ports(len(ports)), strict=True)),
        }
        self.storage_port = facts["storage_port"]
        for name, content, mode in (
            ("slurm.conf", CONTROLLER_CONF, 0o644),
            ("gres.conf", GPU_CONF, 0o644),
            ("slurmdbd.conf", DATABASE_CONF, 0o600),
            ("bin/srun", SRUN, 0o755),
        ):
            file = self.folder / name
            file.touch(mode=mode)
            file.chmod(mode)
            file.write_text(content.format(**facts))
        (self.folder / "database.sql").write_text(
            "CREATE DATABASE slurm_acct_db;\n"
            f"CREATE USER slurm@localhost IDENTIFIED BY '{facts['password']}';\n"
            "GRANT ALL ON slurm_acct_db.* TO slurm@localhost;\n"
        )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in files.items()]
        # By force, since the socket's folder is closed to other users.
        options += ["--foreground", "--force", f"--seed-file={self.folder}/seed"]
        self._start_daemon("munged", *options)
        self._wait((self.folder / "munge.socket").exists, 10, "munged did not start")

    def _start_database(self) -> None:
        data = f"--datadir={self.folder}/database"
        self.run("mariadb-install-db", "--no-defaults", data, "--user=root", "--skip-test-db")
        self._start_daemon(
            "mariadbd",
            "--no-defaults",
            data,
            "--user=root",
            f"--socket={self.folder}/mariadb.socket",
            f"--pid-file={self.folder}/mariadb.pid",
            f"--init-file={self.folder}/database.sql",
            "--bind-address=127.0.0.1",
            f"--port={self.storage_port}",
            "--innodb-flush-log-at-trx-commit=0",
        )
        self._wait(lambda: _listens(self.storage_port), 30, "the database did not start")
        self._start_daemon("slurmdbd", "-D")
        self._wait(self._accounting_answers, 30, "the accounting daemon did not start")

    def stop(self) -> None:
        """End every job, daemon and other process of the cluster and delete its folder."""
        for process in self.processes():
            _kill(process)
        for name in ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "munged"):
            self._stop_daemon(name)
        for process in self.processes():
            _kill(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        self._start_daemon("slurmctld", "-D")
        self._wait(self._controller_answers, 30, "the controller did not start")

    def stop_controller(self) -> None:
        self._stop_daemon("slurmctld")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command of Slurm's, here by its full path, with this cluster's configuration."""
        done = subprocess.run(
            [_command(command[0]), *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}\n{self.logs()}")
        return done

    def jobs(self) -> list[Job]:
        """All jobs ever submitted, from the accounting database, in order."""
        fields = "JobIDRaw,State,Comment,Account,Partition,ReqTRES,TimelimitRaw,Start,End"
        listed = self.run(
            *("sacct", "--allocations", "--parsable2", "--noheader", "--allusers"),
            *(f"--format={fields}", "--starttime=now-1days", "--delimiter=\t"),
        ).stdout
        comments = self._comments_of_live_jobs()
        jobs = (_job(line.split("\t"), comments) for line in listed.splitlines())
        return sorted(jobs, key=lambda job: int(job.identifier))

    def _comments_of_live_jobs(self) -> dict[str, str]:
        """Comments by job, which reach the database only when jobs end."""
        if "slurmctld" not in self.daemons:
            return {}
        listed = self.run("squeue", "--noheader", "--format=%i\t%k").stdout
        return dict(line.split("\t") for line in listed.splitlines())

    def record(self, job: Job) -> Job:
        """What is known of a job by now."""
        return next(each for each in self.jobs() if each.identifier == job.identifier)

    def runs(self, job: Job, script: str) -> bool:
        """Whether some process of a job runs a script of that name."""
        with suppress(OSError):
            commands = [Path(f"/proc/{each}/cmdline").read_text() for each in self.processes(job)]
            return any(f".{script}.py" in command for command in commands)
        return False

    def kill(self, job: Job) -> list[int]:
        """Kill -9 every process of a job; returns their ids."""
        processes = self.processes(job)
        for process in processes:
            _kill(process)
        return processes

    def processes(self, job: Job | None = None) -> list[int]:
        """Live processes of a job, or all of the cluster's jobs, besides the daemons."""
        own = {os.getpid(), *(daemon.pid for daemon in self.daemons.values())}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            # One that ends meanwhile is gone.
            with suppress(OSError):
                if int(entry.name) not in own and self._belongs(entry, job):
                    found.append(int(entry.name))
        return found

    def _belongs(self, process: Path, job: Job | None) -> bool:
        variables = process.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
        inherits = any(each.startswith(f"PATH={self.folder}/bin:") for each in variables)
        if job is not None:
            return inherits and f"SLURM_JOB_ID={job.identifier}" in variables
        # Slurm's step daemons overwrite their environment, but keep slurmd's log open.
        files = (os.readlink(file) for file in process.joinpath("fd").iterdir())
        return inherits or any(file.startswith(f"{self.folder}/") for file in files)

    def logs(self) -> str:
        """The last lines of each daemon's log and output."""
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(
            f"== {file.name}\n" + "\n".join(file.read_text().splitlines()[-20:])
            for file in sorted(files)
        )

    def _start_daemon(self, name: str, *arguments: str) -> None:
        # Should this process be killed, the kernel ends the daemon.
        command = ["setpriv", "--pdeathsig", "KILL", _command(name), *arguments]
        with open(self.folder / f"{name}.out", "a") as out:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _stop_daemon(self, name: str) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(5)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _accounting_answers(self) -> bool:
        return self.run("sacctmgr", "--noheader", "show", "cluster", check=False).returncode == 0

    def _controller_answers(self) -> bool:
        return " is UP" in self.run("scontrol", "ping", check=False).stdout

    def _idle(self) -> bool:
        states = self.run("sinfo", "--noheader", "--format=%T", check=False).stdout.split()
        return set(states) == {"idle"}

    def _wait(self, ready: Callable[[], bool], seconds: float, complaint: str) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.2)
        raise TimeoutError(f"{complaint} within {seconds} s\n{self.logs()}")


def _job(record: list[str], comments: dict[str, str]) -> Job:
    identifier, state, comment, account, partition, requested, minutes, start, end = record
    rule, _, wildcards = (comment or comments.get(identifier, "")).partition("_wildcards_")
    wanted = dict(entry.split("=") for entry in requested.split(","))
    number, unit = re.fullmatch(r"([\d.]+)([KMGT])", wanted["mem"]).groups()
    return Job(
        identifier=identifier,
        state=state,
        rule=rule.removeprefix("rule_"),
        wildcards=wildcards,
        account=account,
        partition=partition,
        gpus=int(wanted.get("gres/gpu", 0)),
        cpus=int(wanted["cpu"]),
        memory_mb=round(float(number) * {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}[unit]),
        minutes=int(minutes),
        start=_time(start),
        end=_time(end),
    )


def _time(stamp: str) -> datetime | None:
    return None if stamp in ("Unknown", "None") else datetime.fromisoformat(stamp)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
