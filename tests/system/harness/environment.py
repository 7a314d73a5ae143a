"""What a test is given: programs, a scratch directory, daemons that are stopped for it, and a place for its measurements."""
import pathlib
import shutil
import subprocess
import tempfile

from .daemon import Daemon
from .openapi import Contract
from .registry import Skip


class Programs:
    """Paths of what is tested and of the tools; slow: factor on every deadline (sanitizers)."""

    def __init__(self, root, daemon, cli, tools, slow):
        self.root = pathlib.Path(root)
        self.daemon, self.cli, self.tools, self.slow = pathlib.Path(daemon), pathlib.Path(cli), pathlib.Path(tools), slow
        self.contract = Contract(self.root / "openapi") if list((self.root / "openapi").glob("*.yaml")) else None


class Environment:
    """One test's world. Everything it starts ends with it."""

    def __init__(self, programs, scratch_root):
        self.programs = programs
        self.slow = programs.slow
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="lunette-test-", dir=scratch_root))
        self.daemons = []
        self.processes = []
        self.notes = []

    def daemon(self, start=True, state=None, **options):
        """A started Daemon (start=False: not yet started) with its own state directory, or the one given."""
        state = state or self.scratch / f"state{len(self.daemons)}"
        made = Daemon(self.programs.daemon, state, self.programs.contract, slow=self.slow, **options)
        self.daemons.append(made)
        return made.start() if start else made

    def run(self, *words, check=True, timeout_s=60, **more):
        """Runs a program to its end; CompletedProcess with text. check: a status other than 0 fails the test."""
        done = subprocess.run([str(w) for w in words], stdin=more.pop("stdin", subprocess.DEVNULL), capture_output=True,
                              text=True, timeout=timeout_s * self.slow, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, words))}\nended with {done.returncode}:\n"
                                 f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def start(self, *words, **more):
        """Starts a program in the background; it is killed when the test ends, if it still runs."""
        started = subprocess.Popen([str(w) for w in words], stdin=more.pop("stdin", subprocess.DEVNULL),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.processes.append(started)
        return started

    def tool(self, name):
        """The path of a program of our own (tests/system/*.c, tests/bench/*.c)."""
        return self.programs.tools / name

    def note(self, text):
        """A measurement, shown beside the test's result."""
        self.notes.append(text)

    @staticmethod
    def skip(reason):
        raise Skip(reason)

    def need(self, *programs):
        """Skips the test when one of these programs is not installed."""
        for program in programs:
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")

    def reports(self):
        """What sanitizers and assertions had to say in the daemons' logs: each line fails the test."""
        return [line for line in (d.sanitizer_report() for d in self.daemons) if line]

    def logs(self):
        """(name, text) of what is shown when the test fails."""
        return [(d.log_path.name, d.log()) for d in self.daemons]

    def close(self):
        for started in self.processes:
            if started.poll() is None:
                started.kill()
                started.wait(10)
        for daemon in self.daemons:
            daemon.stop()

    def remove(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
