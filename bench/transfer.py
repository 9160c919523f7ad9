"""Files of a night into the library, beside cp, rsync and scp: from a directory, over SFTP, over SFTP from far away."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DELAY_MS = 20  # in each direction


class Sshd:
    """A throw-away sshd on loopback; `far` leads to it by way of a relay with a delay."""

    def __init__(self, directory):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory, self.processes = directory, []
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        for key in ("host_key", "client_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / key], check=True)
        shutil.copy(directory / "client_key.pub", directory / "authorized_keys")
        self.port = free_port()
        (directory / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {directory}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {directory}/authorized_keys\nPermitRootLogin prohibit-password\nUseDNS no\n"
            f"Subsystem sftp internal-sftp\nMaxStartups 200:30:400\nSetEnv SHLVL=1\n")
        self.start("/usr/sbin/sshd", "-D", "-e", "-f", directory / "sshd_config", stderr=open(directory / "log", "w"))
        relay = self.start(sys.executable, HERE / "relay.py", self.port, DELAY_MS, stdout=subprocess.PIPE)
        self.far_port = int(relay.stdout.readline())
        for port in (self.port, self.far_port):
            wait_for(port)
        common = (f"  HostName 127.0.0.1\n  User {os.environ.get('USER', 'root')}\n  IdentityFile {directory}/client_key\n"
                  "  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n")
        self.config = directory / "ssh_config"
        self.config.write_text(f"Host near\n  Port {self.port}\n{common}Host far\n  Port {self.far_port}\n{common}")

    def start(self, *command, **options):
        process = subprocess.Popen([str(c) for c in command], **options)
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def run(bench, repeats, timed, median):
    frames = 230 if not bench.small else 20
    delivery = bench.simulate("transfer-night", "--night", 20071011, "--frames", frames, "--detections", 1000,
                              "--detector-size", 2048, "--stacks-only", "--seed", 1)
    files = [p for p in delivery.iterdir() if p.is_file()]
    size = sum(p.stat().st_size for p in files) / 1e9
    print(f"input: {delivery.name}, {len(files)} files, {size:.2f} GB; everything ends with a sync of the disk; medians of {repeats}, from far away once")
    sshd = Sshd(bench.work / "sshd")
    ssh = f"ssh -F {sshd.config}"
    try:
        def shell(script):
            out = bench.fresh("copied")
            out.mkdir()
            return timed("bash", "-ec", f"{script}\nsync -f {out}".replace("OUT", str(out)))

        def ours(place):
            site = bench.site("site")
            if "://" in place:
                with open(site / "almagest.toml", "a") as config:
                    config.write(f'[sources.bench]\nurl = "{place.rsplit("/", 1)[0]}"\nssh_options = ["-F", "{sshd.config}"]\n')
            took = bench.step(site, "transfer", place)
            rows = bench.sql(site, "SELECT count(*) AS n, sum(bytes) AS b FROM transfer WHERE outcome = 'arrived'")[0]
            assert rows["n"] == len(files) and abs(rows["b"] / 1e9 - size) < 1e-6, rows
            return took

        def compare(what, place, peers, bar, times):
            runs = {name: [] for name in ("Almagest", *peers)}
            for _ in range(times):
                runs["Almagest"].append(ours(place))
                for name, script in peers.items():
                    runs[name].append(shell(script))
            walls = {name: median(r, "wall") for name, r in runs.items()}
            for name, r in runs.items():
                every = " ".join(f"{one.wall:.1f}" for one in r)
                print(f"{what:12} {name:14} {size / walls[name] * 1e3:7.0f} MB/s  {median(r, 'cpu') / size:5.2f} CPU-s/GB"
                      f"  {median(r, 'peak_mb'):5.0f} MB  ({every} s)", flush=True)
            best = min(peers, key=lambda name: walls[name])
            ratio = walls[best] / walls["Almagest"]
            bench.add(f"transfer, {what}", f"{size / walls['Almagest'] * 1e3:.0f} MB/s",
                      f"{best} {size / walls[best] * 1e3:.0f}", ratio, f">= {bar}", ratio >= bar)

        compare("directory", str(delivery), {
            "cp + sha256sum": f"cp -r {delivery} OUT/n; cd OUT/n; sha256sum * > ../sums",
            "rsync": f"rsync -a {delivery}/ OUT/n/",
        }, 0.9, repeats)
        compare("sftp", f"ssh://near{delivery}", {
            "scp": f"scp -q -r -F {sshd.config} near:{delivery} OUT/n",
            "rsync -e ssh": f"rsync -a -e '{ssh}' near:{delivery}/ OUT/n/",
        }, 1.0, repeats)
        compare(f"sftp, {2 * DELAY_MS} ms", f"ssh://far{delivery}", {
            "scp": f"scp -q -r -F {sshd.config} far:{delivery} OUT/n",
            "rsync -e ssh": f"rsync -a -e '{ssh}' far:{delivery}/ OUT/n/",
        }, 3.0, 1)  # four minutes, and little noise: the line is what takes the time
    finally:
        sshd.stop()
