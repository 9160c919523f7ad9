"""Numbers of an archive on a PostgreSQL server, beside the server's own COPY. See bench/run."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path


def binaries():
    """The directory of initdb and postgres, as Debian and others install them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found += [Path(shutil.which("initdb")).resolve().parent] if shutil.which("initdb") else []
    for path in found:
        if (path / "initdb").exists():
            return path
    sys.exit("PostgreSQL is not installed (Debian: postgresql)")


class Server:
    """A throw-away server with fsync on, on a socket in its own directory."""

    def __init__(self, directory):
        self.directory, self.bin = Path(directory).resolve(), binaries()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.options = {}
        if os.getuid() == 0:
            self.options = dict(user="postgres", group="postgres", extra_groups=[])
            shutil.chown(self.directory, "postgres", "postgres")
            for parent in self.directory.parents:
                if not parent.stat().st_mode & 0o001:
                    sys.exit(f"user postgres cannot reach {parent}: choose another --work")
        self.data = self.directory / "data"
        self.call("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N")
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self.directory}'\n"
                       "shared_buffers = '1GB'\nmax_wal_size = '8GB'\nmaintenance_work_mem = '512MB'\n"
                       "checkpoint_timeout = '15min'\nwal_level = minimal\nmax_wal_senders = 0\n")
        log = open(self.directory / "log", "w")
        self.process = subprocess.Popen([self.bin / "postgres", "-D", self.data], cwd=self.directory, stdout=log,
                                        stderr=log, **self.options)
        for _ in range(200):
            if subprocess.run([self.bin / "pg_isready", "-q", "-h", self.directory], check=False).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit(f"the server did not come up, see {self.directory}/log")

    def call(self, program, *words):
        subprocess.run([self.bin / program, *words], check=True, cwd=self.directory, stdout=subprocess.DEVNULL,
                       **self.options)

    def psql(self, database, sql):
        done = subprocess.run([self.bin / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.directory,
                               "-U", "postgres", "-d", database, "-c", sql], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{sql}\n{done.stderr}")
        return done.stdout.strip()

    def database(self, name):
        self.psql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.psql("postgres", f"CREATE DATABASE {name}")
        return f"postgres://postgres@{str(self.directory).replace('/', '%2F')}/{name}"

    def settings(self):
        names = "server_version fsync synchronous_commit wal_level full_page_writes shared_buffers max_wal_size " \
                "maintenance_work_mem checkpoint_timeout".split()
        return ", ".join(f"{n} = {self.psql('postgres', f'SHOW {n}')}" for n in names)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def site_on(bench, name, url):
    site = bench.fresh(name)
    subprocess.run([bench.almagest, "init", site, *(["--database", url, "--roles"] if url else [])], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run([bench.almagest, "--site", site, "programme", "add", "U07B12", "u/07b/12"], check=True,
                   stdout=subprocess.DEVNULL)
    return site


def threads(site, connections):
    path = site / "almagest.toml"
    path.write_text(re.sub(r"^(# )?threads = .*", f"threads = {connections}", path.read_text(), flags=re.M))


def last_ingest(site, use_case):
    """Seconds of load, keys and publication of the last batch of a use case, by the site's log."""
    lines = [l for l in (site / "logs/almagest.log").read_text().splitlines() if f" {use_case} round" in l and "; load " in l]
    return [float(x) for x in re.search(r"; load (\S+) s, keys (\S+) s, publish (\S+) s", lines[-1]).groups()]


def floor(server, database, files, connections):
    """The server's own COPY of the same rows into bare tables, then the key, over as many connections."""
    def load(mine):
        for n, path in mine:
            table = f"bare{n}"
            sql = f"BEGIN; CREATE TABLE {table} (LIKE detection_data); " \
                  f"\\copy {table} FROM '{path}' (FORMAT binary, FREEZE)\n" \
                  f"ALTER TABLE {table} ADD PRIMARY KEY (programme_id, obj_id); COMMIT;"
            script = path.with_suffix(f".{n}.sql")
            script.write_text(sql.replace("; \\copy", ";\n\\copy"))
            subprocess.run([server.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", server.directory, "-U",
                            "postgres", "-d", database, "-f", script], check=True)
    began = time.monotonic()
    shares = [files[i::connections] for i in range(connections)]
    workers = [threading.Thread(target=load, args=(share,)) for share in shares]
    [w.start() for w in workers]
    [w.join() for w in workers]
    took = time.monotonic() - began
    for n, _ in files:
        server.psql(database, f"DROP TABLE bare{n}")
    return took


def stacks(bench):
    """A night of stacks with many detections, of two programmes."""
    frames, detections = (16, 400) if bench.small else (40, 4000)
    return bench.simulate("server-night", "--night", 20071011, "--frames", frames, "--detections", detections,
                          "--detector-size", 256, "--stacks-only", "--seed", 2, "--programmes", 2)


def into_the_lake(bench, repeats):
    """Bytes per second into the lake against cp and sync of its files."""
    delivery = stacks(bench)
    ours, floors = [], []
    for _ in range(repeats):
        site = site_on(bench, "lake-site", None)
        for step in ("transfer", "metadata", "ingest", "catalogue"):
            bench.step(site, step, *([delivery] if step == "transfer" else []))
        os.sync()
        ours.append(bench.step(site, "ingest").wall)
        target = bench.fresh("lake-copy")
        os.sync()
        began = time.monotonic()
        subprocess.run(["sh", "-c", f"cp -r '{site}/lake' '{target}' && sync -f '{target}'"], check=True)
        floors.append(time.monotonic() - began)
    megabytes = sum(f.stat().st_size for f in (site / "lake").rglob("*.parquet")) / 1e6
    mine, theirs = statistics.median(ours), statistics.median(floors)
    bench.add("ingest, lake, MB/s (peer: cp + sync)", f"{megabytes / mine:.0f}", f"{megabytes / theirs:.0f}",
              theirs / mine, ">= 0.5", theirs / mine >= 0.5)


def loading(bench, server, repeats):
    """Rows per second into the server against the floor, at one connection and at two."""
    delivery = stacks(bench)
    for connections in (1, 2):
        ours, parts, floors, whole = [], [], [], []
        for turn in range(repeats):
            url = server.database("load")
            site = site_on(bench, "server-site", url)
            threads(site, connections)
            began = time.monotonic()
            bench.step(site, "transfer", delivery)
            for step in ("metadata", "ingest", "catalogue"):
                bench.step(site, step)
            os.sync()  # what others left to be written is not part of either
            ours.append(bench.step(site, "ingest").wall)
            whole.append(time.monotonic() - began)
            parts.append(last_ingest(site, "catalogue"))
            rows = int(server.psql("load", "SELECT count(*) FROM detection"))
            files = []
            leaves = server.psql("load", "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' "
                                         "AND relname LIKE 'detection_b%'").split()
            for n, leaf in enumerate(leaves):
                path = server.directory / f"{leaf}.bin"
                server.psql("load", f"COPY {leaf} TO '{path}' (FORMAT binary)")
                files.append((n, path))
            server.psql("load", "CHECKPOINT")
            os.sync()
            floors.append(floor(server, "load", files, connections))
            [p.unlink() for _, p in files]
        mine, theirs = statistics.median(ours), statistics.median(floors)
        load, keys, publish = sorted(parts)[len(parts) // 2]
        print(f"{connections} connection(s), {rows} rows in {len(files)} programmes: ingest {mine:.2f} s "
              f"(load {load:.2f}, keys {keys:.2f} summed, publish {publish:.3f}); FITS to visible rows "
              f"{rows / sorted(whole)[len(whole) // 2]:,.0f} rows/s, transfer included")
        ratio = theirs / mine
        bench.add(f"ingest, PostgreSQL, {connections} connection(s), rows/s", f"{rows / mine:,.0f}", f"{rows / theirs:,.0f}",
                  ratio, ">= 0.8", ratio >= 0.8)


def growth(bench, server):
    """The cost of nights 1, 30 and 300, of a retraction, a cone and a verification then, on both engines."""
    nights = 30 if bench.small else 300
    deliveries = []
    for n in range(nights):
        night = time.strftime("%Y%m%d", time.gmtime(1.1e9 + 86400 * n))
        deliveries.append(bench.simulate(f"small/{n:03}", "--night", night, "--frames", 6, "--detections", 50,
                                         "--detector-size", 32, "--stacks-only", "--seed", n + 10))
    for engine in ("embedded", "server"):
        site = site_on(bench, f"growth-{engine}", server.database("growth") if engine == "server" else None)
        costs = {}
        for n, delivery in enumerate(deliveries, 1):
            bench.step(site, "transfer", delivery)
            # All of a night, so that it is complete, as an archive's nights are.
            for step in ("preview", "metadata", "ingest", "catalogue"):
                bench.step(site, step, *([] if step == "ingest" else ["--delivery", delivery.name]))
            costs[n] = bench.step(site, "ingest").wall
        # Medians of nine nights: a single ingest of some ten milliseconds is at the mercy of the disk.
        near = {1: range(1, 10), 30: range(26, 35), nights: range(nights - 8, nights + 1)}
        cost = {at: statistics.median(costs[n] for n in ns if n in costs) for at, ns in near.items() if at <= nights}
        ra, dec = bench.sql(site, "SELECT ra, dec FROM detection WHERE obj_id = 5 LIMIT 1")[0].values()
        cone = f"SELECT count(*) AS n FROM detection WHERE in_cone(ra, dec, {ra}, {dec}, 1/60.0)"
        began = time.monotonic()
        found = bench.sql(site, cone)[0]["n"]
        cone_took = time.monotonic() - began
        retract = bench.step(site, "retract", deliveries[-1].name, "--reason", "bench").wall
        bench.step(site, "retract", deliveries[-1].name, "--undo", "--reason", "bench")
        rows = bench.sql(site, "SELECT count(*) AS n FROM detection")[0]["n"]
        verify = bench.step(site, "verify", "--checksums").wall
        print(f"{engine}: ingest of a night of {rows // nights} rows: " +
              ", ".join(f"night {n} {t * 1000:.0f} ms" for n, t in cost.items()) +
              f"; at night {nights}: retract {retract:.2f} s, cone of 1' {cone_took * 1000:.0f} ms ({found} rows, process "
              f"included), verify --checksums {rows / verify:,.0f} rows/s")
        first, last = cost[1], cost[nights]
        bench.add(f"growth, {engine}: ingest of night {nights} / night 1", f"{last * 1000:.0f} ms",
                  f"{first * 1000:.0f} ms", last / first, "<= 1.1", last / first <= 1.1)


def run(bench, repeats):
    server = Server(bench.work / "pg")
    try:
        print("server:", server.settings())
        loading(bench, server, repeats)
        into_the_lake(bench, repeats)
        growth(bench, server)
    finally:
        server.stop()
