"""A tgtd beside us, on loopback and a free port: for comparison in the conformance table and the benchmark."""
import os
import pathlib
import signal
import subprocess

from . import process, wait

TARGET = "iqn.2026-11.io.lunette:tgtd"


class Tgtd:
    """A running tgtd. Its control port (a number that names its socket) is its portal's port divided by two: unique enough."""

    def __init__(self, scratch, prefix=()):
        self.scratch = pathlib.Path(scratch)
        self.port = process.free_port()
        self.control = str(self.port // 2)
        self.log = open(self.scratch / "tgtd.log", "ab")
        self.process = subprocess.Popen([*prefix, "tgtd", "-f", "-C", self.control, "--iscsi",
                                         f"portal=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait.until(lambda: self._ask("--mode", "sys", "--op", "show").returncode == 0, "tgtd answers", 10)
        self.targets = 0

    def _ask(self, *words):
        return subprocess.run(["tgtadm", "-C", self.control, "--lld", "iscsi", *words], capture_output=True, text=True,
                              check=False)

    def admin(self, *words):
        done = self._ask(*words)
        if done.returncode != 0:
            raise RuntimeError(f"tgtadm {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def serve(self, path, size_bytes, block_size=512, thin=True, read_only=False, user=None):
        """A target with one LUN (number 1) on a file; the URL. user: (name, secret) for one-way CHAP."""
        self.targets += 1
        tid, target = str(self.targets), f"{TARGET}{self.targets}"
        with open(path, "ab") as file:
            file.truncate(size_bytes)
            if not thin:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
        self.admin("--mode", "target", "--op", "new", "--tid", tid, "--targetname", target)
        self.admin("--mode", "logicalunit", "--op", "new", "--tid", tid, "--lun", "1", "--backing-store", str(path),
                   "--bstype", "rdwr", "--blocksize", str(block_size))
        params = f"thin_provisioning={int(thin)},readonly={int(read_only)}"
        self.admin("--mode", "logicalunit", "--op", "update", "--tid", tid, "--lun", "1", "--params", params)
        if user:
            self.admin("--mode", "account", "--op", "new", "--user", user[0], "--password", user[1])
            self.admin("--mode", "account", "--op", "bind", "--tid", tid, "--user", user[0])
        self.admin("--mode", "target", "--op", "bind", "--tid", tid, "--initiator-address", "ALL")
        login = f"{user[0]}%{user[1]}@" if user else ""
        return f"iscsi://{login}127.0.0.1:{self.port}/{target}/1"

    def pids(self):
        return [self.process.pid] + process.children(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self._ask("--mode", "sys", "--op", "delete", "--force")
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
        self.log.close()
