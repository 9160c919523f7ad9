"""The experiment of the VDFS paper: nights on one computer and on five, ingest running beside. See bench/run.

Computers are nodes of a throw-away Slurm cluster, each held to a part of a core by the kernel (cgroup cpu quota), so that
five of them, the database, the daemons and Slurm fit on a machine of two cores. Needs root, Slurm, and cgroup v1 or v2.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import model

TOOL = Path(__file__).resolve().parent.parent / "crates/testkit/tools/slurm-cluster"
QUOTA = 0.3  # of a core, per node
USE_CASES = ("preview", "metadata", "catalogue")
PAPER = {"preview": "4x", "metadata": "3x", "catalogue": "2x", "all": "1.3-1.4x"}


class Quotas:
    """Groups of processes that get a part of a core."""

    def __init__(self):
        v1 = Path("/sys/fs/cgroup/cpu")
        self.root, self.is_v1 = (v1, True) if v1.is_dir() else (Path("/sys/fs/cgroup"), False)
        self.made = []

    def hold(self, name, pids):
        group = self.root / f"almagest-bench-{name}"
        group.mkdir(exist_ok=True)
        self.made.append(group)
        period = 20_000  # short, so that a task is slowed evenly
        if self.is_v1:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(int(period * QUOTA)))
        else:
            (group / "cpu.max").write_text(f"{int(period * QUOTA)} {period}")
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))

    def release(self):
        for group in self.made:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.1)
        self.made = []


def below(pid):
    """A process and all that it started."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            pids += below(int(child))
    return pids


class Cluster:
    """Slurm on a number of nodes of one processor each, which is a part of one."""

    started = 0

    def __init__(self, nodes):
        Cluster.started += 1
        name = f"{os.getpid()}-{Cluster.started}"
        self.directory = f"/tmp/almagest-scaling-{name}"
        self.environment = {**os.environ, "SLURM_CLUSTER_DIR": self.directory, "SLURM_CLUSTER_CPUS": "1"}
        self.call("start", str(nodes), "--while", str(os.getpid()))
        self.configuration = f"{self.directory}/slurm.conf"
        self.quotas = Quotas()
        for n in range(1, nodes + 1):
            pid = int(Path(self.directory, "pids", f"n{n}").read_text().split()[0])
            self.quotas.hold(f"{name}-n{n}", below(pid))

    def call(self, *words):
        with open(os.devnull, "w") as null:
            subprocess.run(["bash", TOOL, *words], check=True, env=self.environment, stdout=null, stderr=null)

    def stop(self):
        self.call("stop")
        self.quotas.release()


class Site:
    """A site whose nights are in the library, with the daemons of a cluster."""

    def __init__(self, bench, name, deliveries, first):
        self.almagest, self.path = bench.almagest.resolve(), bench.site(name).resolve()
        config = self.path / "almagest.toml"
        text = config.read_text()
        for old, new in (('executor = "local"', 'executor = "slurm"'), ("max_load = 1.5", "max_load = 0.0"),
                         ("poll_seconds = 2", "poll_seconds = 1"), ("poll_seconds = 10", "poll_seconds = 1"),
                         ('listen = "127.0.0.1:9187"', 'listen = ""'), ('mode = "copy"', 'mode = "link"')):
            assert f"\n# {old}" in text or f"\n{old}" in text, old
            text = text.replace(f"\n# {old}", f"\n{new}").replace(f"\n{old}", f"\n{new}")
        config.write_text(text)
        for delivery in deliveries:
            self.call("transfer", delivery)
        # What the use case needs and is not measured.
        for step in first:
            self.call(step)

    def call(self, *words, cluster=None):
        environment = {**os.environ, **({"SLURM_CONF": cluster.configuration} if cluster else {})}
        done = subprocess.run([self.almagest, "--site", self.path, *map(str, words)], capture_output=True, text=True,
                              check=False, env=environment)
        if done.returncode not in (0, 1):
            sys.exit(f"almagest {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def daemon(self, cluster, *words):
        environment = {**os.environ, "SLURM_CONF": cluster.configuration}
        log = open(self.path / "logs" / f"{words[0]}.out", "w")
        return subprocess.Popen([self.almagest, "--site", self.path, "daemon", *words], env=environment, stdout=log, stderr=log)

    def costs(self, nights):
        """What tasks and ingests took, of an average night."""
        tasks, read = {}, {}
        for result in self.path.glob("staging/*/*/*/*/result.json"):
            found = json.loads(result.read_text())
            use_case = found["unit"]["use_case"]
            tasks.setdefault(use_case, []).append(found["run"]["seconds"])
            read.setdefault(use_case, []).append(found["run"]["input_bytes"])
        ingest = {}
        for line in (self.path / "logs" / "ingester.log").read_text().splitlines():
            found = re.search(r"ingested \S+ (\w+) round .*load ([\d.]+) s, keys \S+ s, publish ([\d.]+) s", line)
            if found:
                took = float(found[2]) + float(found[3])
                ingest[found[1]] = ingest.get(found[1], 0.0) + took / nights
        of_night = {u: [statistics.mean(t)] * round(len(t) / nights) for u, t in tasks.items()}
        return model.Costs(of_night, ingest, read={u: statistics.mean(b) for u, b in read.items()})

    def states(self, use_cases):
        status = json.loads(self.call("status", "--json"))
        rounds = [r for d in status["deliveries"] for r in d["rounds"] if r["use_case"] in use_cases]
        return [r["state"] for r in rounds]


class Experiment:
    """Nights of one use case, or of all, on a number of nodes: made ready, then measured once."""

    def __init__(self, bench, nodes, use_case, deliveries, turn):
        first = {"catalogue": ("metadata", "ingest"), "preview": ("metadata", "ingest")}.get(use_case, ())
        self.nights = len(deliveries)
        self.site = Site(bench, f"scaling-{use_case}-{nodes}-{turn}", deliveries, first)
        self.wanted = USE_CASES if use_case == "all" else (use_case,)
        for other in set(USE_CASES) - set(self.wanted):
            self.site.call("pause", "--use-case", other, "--reason", "bench")
        self.cluster = Cluster(nodes)
        self.daemons = [self.site.daemon(self.cluster, "data"), self.site.daemon(self.cluster, "ingest")]

    def measure(self):
        """Seconds from the approval until all is processed, and until all is ingested; and what tasks and ingests took."""
        time.sleep(4)  # Slurm's controller schedules nothing in its first seconds
        self.site.call("plan", cluster=self.cluster)
        self.site.call("approve", "--all", cluster=self.cluster)
        began = time.monotonic()
        processed = None
        while True:
            states = self.site.states(self.wanted)
            if len(states) >= len(self.wanted) * self.nights:
                if processed is None and all(s in ("staged", "ingested") for s in states):
                    processed = time.monotonic() - began
                if all(s == "ingested" for s in states):
                    return processed, time.monotonic() - began, self.site.costs(self.nights)
            if any(d.poll() is not None for d in self.daemons):
                sys.exit(f"a daemon ended: see {self.site.path}/logs")
            time.sleep(0.5)

    def end(self):
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            daemon.wait()
        self.cluster.stop()
        shutil.rmtree(self.site.path, ignore_errors=True)


def measured(bench, nodes, use_case, deliveries, turns):
    """What Experiment.measure tells of some repetitions, which run side by side."""
    experiments = []
    try:
        for turn in turns:
            experiments.append(Experiment(bench, nodes, use_case, deliveries, turn))
        with ThreadPoolExecutor(len(experiments)) as pool:
            return list(pool.map(Experiment.measure, experiments))
    finally:
        for experiment in experiments:
            experiment.end()


def nights(bench, name, count, *options):
    """One simulated night under many names: the same files, so that one is made and nothing else differs."""
    first = bench.simulate(f"scaling/{name}", "--stacks-only", *options)
    made = []
    for n in range(count):
        delivery = bench.work / "scaling" / f"{name}-nights" / time.strftime("%Y%m%d_v1", time.gmtime(1.2e9 + 86400 * n))
        if not delivery.exists():
            delivery.mkdir(parents=True)
            for file in first.iterdir():
                os.link(file, delivery / file.name)
        made.append(delivery)
    return made


def run(bench, repeats, only=None):
    """The table: each use case alone, then all together."""
    if os.getuid() != 0:
        sys.exit("the scaling bench sets quotas, which needs root")
    count = 3 if bench.small else 10
    # Sizes for some 6 CPU-seconds of a night and use case: 20 s of a node's work.
    part = 8 if bench.small else 1
    sizes = {
        "preview": ("--frames", 120 // part, "--detections", 1, "--detector-size", 2048),
        "metadata": ("--frames", 3600 // part, "--detections", 1, "--detector-size", 32),
        "catalogue": ("--frames", 200 // part, "--detections", 2000, "--detector-size", 128),
        "all": ("--frames", 80 // part, "--detections", 1000, "--detector-size", 2048),
    }
    for use_case, options in sizes.items():
        if only not in (None, use_case):
            continue
        deliveries = nights(bench, use_case, count, *options)
        # Three single nodes have less than half of the machine, and each no more than its quota: they need no turns.
        side_by_side = [range(n, min(n + 3, repeats)) for n in range(0, repeats, 3)]
        times = {1: [found for turns in side_by_side for found in measured(bench, 1, use_case, deliveries, turns)],
                 5: [found for turn in range(repeats) for found in measured(bench, 5, use_case, deliveries, [turn])]}
        for nodes, found in times.items():
            each = ", ".join(f"{processed:.1f}/{ingested:.1f}" for processed, ingested, _ in found)
            print(f"{use_case}, {nodes} node(s), each time processed/ingested: {each} s", flush=True)
        one, five = ([statistics.median(t[i] for t in times[n]) for i in (0, 1)] for n in (1, 5))
        print(f"{use_case}, {count} nights: one node {one[0]:.1f} s processed, {one[1]:.1f} s ingested; "
              f"five nodes {five[0]:.1f} s, {five[1]:.1f} s (paper: {PAPER[use_case]})", flush=True)
        costs = times[1][0][2]
        for nodes, found in ((1, one), (5, five)):
            said = model.simulate(costs, count, nodes)
            print(f"model, {nodes} node(s): {said[0]:.1f} s processed ({said[0] / found[0] - 1:+.0%}), "
                  f"{said[1]:.1f} s ingested ({said[1] / found[1] - 1:+.0%})", flush=True)
        step, whole = one[0] / five[0], one[1] / five[1]
        if use_case != "all":
            bench.add(f"{use_case} alone on 5 nodes / 1 node", f"{five[0]:.1f} s", f"{one[0]:.1f} s", step, ">= 4.5", step >= 4.5)
        else:
            print("\n".join(model.table(costs)))
            bench.add("nights, ingest included, 5 nodes / 1 node", f"{five[1]:.1f} s", f"{one[1]:.1f} s", whole, ">= 4", whole >= 4)
