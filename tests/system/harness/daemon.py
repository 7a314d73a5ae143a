"""One lunetted under test: started with free ports and its own state directory, watched, stopped, and its log searched."""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from . import process, rest, wait

TARGET = "iqn.2026-11.io.lunette:t1"
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|"
                       r"Assertion `.*' failed|\*\*\* stack smashing|malloc\(\): |used the forbidden system call")


class NotReady(AssertionError):
    """The daemon ended, or said nothing, instead of saying `ready`."""


class Daemon:
    """A lunetted process with its children. Use Environment.daemon() to make one: it is stopped when the test ends."""

    def __init__(self, program, state, contract=None, workers=1, reactors=1, portals=None, extra=(), slow=1.0):
        self.program = str(program)
        self.state = pathlib.Path(state)
        self.slow = slow
        self.http_port = process.free_port()
        self.portals = portals or [f"127.0.0.1:{process.free_port()}"]
        self.more_portals = []  # made by REST
        self.workers, self.reactors, self.extra = workers, reactors, list(extra)
        self.prefix, self.preexec = [], None  # a program that starts it; what runs in its process before it
        self.log_path = self.state.parent / f"{self.state.name}.log"
        self.process = None
        self.lines = []
        self.ready_after_s = None
        self.rest = rest.Client(self.http_port, self.token, contract)

    # ------------------------------------------------------------ life

    def command(self):
        words = [self.program, "--state", str(self.state), "--http", f"127.0.0.1:{self.http_port}"]
        for portal in self.portals:
            words += ["--portal", portal]
        return self.prefix + words + ["--workers", str(self.workers), "--reactors", str(self.reactors)] + self.extra

    def start(self, timeout_s=20):
        """Starts it and waits for the line that starts with `ready`."""
        self.lines = []
        self.started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, text=True, preexec_fn=self.preexec)
        threading.Thread(target=self._read_output, args=(self.process.stdout,), daemon=True).start()
        wait.until(lambda: self.ready_line or self.process.poll() is not None, "ready line", timeout_s * self.slow)
        if not self.ready_line:
            raise NotReady(f"lunetted ended with {self.process.returncode}: {self.log()[-2000:]}")
        return self

    def _read_output(self, stream):
        with open(self.log_path, "a", encoding="utf-8") as log:
            for line in stream:
                if line.startswith("ready") and self.ready_after_s is None:
                    self.ready_after_s = time.monotonic() - self.started
                self.lines.append(line.rstrip("\n"))
                log.write("stdout: " + line)
                log.flush()

    @property
    def ready_line(self):
        return next((line for line in list(self.lines) if line.startswith("ready")), None)

    def terminate(self, timeout_s=20):
        """SIGTERM, waits; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s * self.slow)

    def restart(self):
        """Ends it in good order and starts it again on the same state and ports."""
        status = self.terminate()
        assert status == 0, f"exit status {status} after SIGTERM"
        self.ready_after_s = None
        return self.start()

    def crash(self):
        """SIGKILL to all its processes at once, as a power cut without the disk's part in it."""
        everyone = [self.process.pid] + process.children(self.process.pid)
        for pid in everyone:
            self._kill(pid, signal.SIGKILL)
        self.process.wait(10)
        wait.until(lambda: not any(process.alive(p) for p in everyone), "all processes gone")
        self.ready_after_s = None

    def stop(self):
        """What the end of a test does: SIGTERM, then SIGKILL for what is left."""
        if self.process is None:
            return
        left = process.children(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15 * self.slow)
            except subprocess.TimeoutExpired:
                self._kill(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        for pid in left:
            if "--role" in process.arguments(pid):
                self._kill(pid, signal.SIGKILL)

    @staticmethod
    def _kill(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    # ------------------------------------------------------------ its processes

    def roles(self):
        """{"control": pid, "worker0": pid, ...} of the children that run now."""
        found = {}
        for pid in process.children(self.process.pid):
            words = process.arguments(pid)
            if "--role" not in words or not process.alive(pid):
                continue
            role = words[words.index("--role") + 1]
            index = words[words.index("--index") + 1] if "--index" in words else "0"
            found[role if role == "control" else role + index] = pid
        return found

    def kill(self, role, number=signal.SIGKILL):
        """Sends a signal to one child; returns the process id that it had."""
        pid = wait.until(lambda: self.roles().get(role), f"a process with the role {role}")
        os.kill(pid, number)
        return pid

    def wait_for_new(self, role, old_pid, timeout_s=5):
        """Waits until the role runs under another process id; returns that."""
        return wait.until(lambda: (p := self.roles().get(role)) and p != old_pid and p, f"a new {role}",
                          timeout_s * self.slow)

    def everyone(self):
        """All its process ids."""
        return [self.process.pid] + process.children(self.process.pid)

    # ------------------------------------------------------------ what it says

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def sanitizer_report(self):
        """The first line in the log of a sanitizer's report, a failed assertion or a forbidden system call, or None."""
        return next((line for line in self.log().splitlines() if SANITIZER.search(line)), None)

    # ------------------------------------------------------------ its service

    def token(self):
        return (self.state / "admin.token").read_text().strip()

    def portal(self, number=0):
        return [*self.portals, *self.more_portals][number]

    def url(self, target=TARGET, lun=0, portal=0, user=None):
        """An iscsi:// URL. user: "name%secret"."""
        return f"iscsi://{user + '@' if user else ''}{self.portal(portal)}/{target}/{lun}"

    def rest_answers(self):
        """True when /readyz answers 200 now."""
        try:
            return self.rest.raw("GET", "/readyz", timeout_s=2).status == 200
        except OSError:
            return False

    def serve(self, name, size_bytes=64 << 20, target=TARGET, number=0, target_body=None, **lun):
        """Makes a LUN and a target (when it is new) and assigns the LUN; returns the URL."""
        self.rest.put(f"/luns/{name}", {"size_bytes": size_bytes, **lun})
        path = f"/targets/{rest.quote(target)}"
        if self.rest.get(path, expect=(200, 404)).status == 404:
            self.rest.put(path, target_body or {})
        self.rest.put(f"{path}/luns/{number}", {"lun": name})
        return self.url(target, number)

    def picture(self, path):
        """The bytes of a picture; None when PNG cannot be made here."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60 * self.slow)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token()}"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 503 and b"png-unavailable" in body:
            return None
        assert answer.status == 200, body
        return body

    def health(self):
        return self.rest.get("/health", expect=(200, 503)).json

    def describe(self):
        return json.dumps({"roles": self.roles(), "ready": self.ready_line})
