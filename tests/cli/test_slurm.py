# SPDX-License-Identifier: MIT
"""The array job on a real Slurm of one node: 40 nights of an hour in 4 shards, 10 tasks killed by
SIGKILL at random times and requeued, and in the end every output byte for byte that of a serial
run.

Usage: test_slurm.py <folder of the tools> <folder of scripts>
Without Slurm (packages slurmctld, slurmd, slurm-client, munge) it says so and ends with 77.
"""
import getpass
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recording"))
from make_edf import write_edf

from harness import BIN, Case, main, np

SCRIPT = pathlib.Path(sys.argv.pop(1)).resolve() / "slurm" / "psgvit-array.sh"
NEEDS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol"]
NIGHTS, SHARDS, KILLS = 40, 4, 10
CONF = """
ClusterName=psgvit
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
NodeName=node NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Slurm(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.osf = cls.synth("nano.safetensors", "osf-nano")
        cls.slurm = cls.root / "slurm"
        for folder in "", "state", "spool":
            (cls.slurm / folder).mkdir()
        (cls.slurm / "munge.key").write_bytes(os.urandom(1024))
        (cls.slurm / "munge.key").chmod(0o400)
        (cls.slurm / "slurm.conf").write_text(CONF.format(
            user=getpass.getuser(), ports=free_ports(2), folder=cls.slurm))
        cls.env = {**os.environ, "SLURM_CONF": str(cls.slurm / "slurm.conf")}
        cls.daemons = []
        cls.start("munged", "--foreground", "--force", f"--key-file={cls.slurm}/munge.key",
                  f"--socket={cls.slurm}/munge.sock", f"--pid-file={cls.slurm}/munge.pid",
                  f"--seed-file={cls.slurm}/munge.seed")
        cls.wait(lambda: (cls.slurm / "munge.sock").exists(), "munged")
        cls.start("slurmctld", "-D")
        cls.start("slurmd", "-D", "-N", "node")
        cls.wait(lambda: b"idle" in cls.call("sinfo", "-h", "-o", "%T", check=False), "the node")

    @classmethod
    def tearDownClass(cls):
        for daemon, log in reversed(cls.daemons):
            daemon.terminate()
            daemon.wait(timeout=600)
            log.close()
        super().tearDownClass()

    @classmethod
    def start(cls, *command):
        log = open(cls.slurm / f"{command[0]}.log", "wb")
        cls.daemons.append((subprocess.Popen(command, env=cls.env, stdout=log, stderr=log), log))

    @classmethod
    def wait(cls, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = "\n".join(f"{f}:\n{f.read_text()[-2000:]}" for f in cls.slurm.glob("*.log"))
                raise AssertionError(f"{what}: nothing in {seconds} s\n{logs}")
            time.sleep(0.05)

    @classmethod
    def call(cls, *command, check=True):
        p = subprocess.run(command, env=cls.env, capture_output=True, timeout=600)
        if check and p.returncode:
            raise AssertionError(f"{command}: {p.stderr.decode()}")
        return p.stdout

    def make_nights(self):
        rng = np.random.default_rng(11)
        for i in range(NIGHTS):
            epochs = 118 + i % 5  # a shard takes seconds: many times as long as until a kill
            write_edf(f"night{i}.edf", [
                {"label": label, "unit": "uV", "rate": 64,
                 "data": 50 * rng.standard_normal(64 * 30 * epochs)}
                for label in ("EKG", "Chin EMG", "C3-A2", "C4-A1")])
        pathlib.Path("samples.lst").write_text(
            "".join(f"id{i}\tnight{i}.edf\n" for i in range(NIGHTS)))

    def tasks(self, job):
        """State of each task: the part behind JobState= of what scontrol says."""
        text = self.call("scontrol", "-o", "show", "job", job).decode()
        states = {}
        for line in text.splitlines():
            fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
            states[fields["ArrayTaskId"]] = fields["JobState"]
        return states

    def running(self):
        """Process and task of each tool that this test's Slurm runs."""
        found = {}
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if os.readlink(folder / "exe") != str(BIN / "osf-infer"):
                    continue
                environ = dict(entry.partition("=")[::2] for entry in
                               (folder / "environ").read_text("utf-8", "replace").split("\0"))
            except OSError:
                continue
            if environ.get("SLURM_CONF") == self.env["SLURM_CONF"]:
                found[int(folder.name)] = environ["SLURM_ARRAY_TASK_ID"]
        return found

    def kill_and_requeue(self, job):
        """Until every task is done: kills each tool it meets a random while after it began, until
        there were enough, and requeues what was killed."""
        rand = random.Random(12)
        killed, due = 0, {}
        end = time.monotonic() + 400
        while True:
            self.assertLess(time.monotonic(), end, self.tasks(job))
            for pid in self.running():
                due.setdefault(pid, time.monotonic() + rand.uniform(0.1, 0.7))
                if killed < KILLS and time.monotonic() > due[pid]:
                    os.kill(pid, signal.SIGKILL)
                    due[pid] = end
                    killed += 1
            states = self.tasks(job)
            for task, state in states.items():
                if state == "FAILED":
                    self.call("scontrol", "requeue", f"{job}_{task}")
                    # Slurm makes it wait for two minutes, lest it fail at once again.
                    self.call("scontrol", "update", f"JobId={job}_{task}", "StartTime=now")
            if set(states.values()) == {"COMPLETED"} and len(states) == SHARDS:
                return killed
            time.sleep(0.02)

    def test_array(self):
        self.make_nights()
        self.infer("-q", "-o", "serial/", "--list", "samples.lst", timeout=600)
        job = self.call("sbatch", "--parsable", f"--array=0-{SHARDS - 1}", "--cpus-per-task=1",
                        SCRIPT, BIN / "osf-infer", "-m", self.osf, "-o", "array/", "--list",
                        "samples.lst").decode().strip()
        killed = self.kill_and_requeue(job)
        print(f"{killed} tasks killed", file=sys.stderr)
        self.assertEqual(killed, KILLS)
        self.assertEqual([name for name in self.names("array") if not name.startswith("manifest")],
                         sorted(f"id{i}.safetensors" for i in range(NIGHTS)))
        for i in range(NIGHTS):
            name = f"id{i}.safetensors"
            self.assertEqual(pathlib.Path("array", name).read_bytes(),
                             pathlib.Path("serial", name).read_bytes(), name)
        for shard in range(SHARDS):
            lines = pathlib.Path(f"array/manifest-{shard}-of-{SHARDS}.jsonl").read_text()
            last = {line["id"]: line for line in map(json.loads, lines.splitlines())}
            self.assertEqual(len(last), NIGHTS)
            for i in range(NIGHTS):
                line = last[f"id{i}"]
                self.assertEqual(line["shard"], i % SHARDS)
                self.assertIn(line["status"], ("done", "skipped") if i % SHARDS == shard
                              else ("elsewhere",))


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin"  # where the daemons are, and not everybody looks
    missing = [need for need in NEEDS if not shutil.which(need)]
    if missing:
        print(f"skipped: there is no {', no '.join(missing)} here; install the packages slurmctld, "
              "slurmd, slurm-client and munge")
        sys.exit(77)
    main()
