"""`lunette top` on a terminal of its own (pty), against a service that is made up here."""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import urllib.parse

from harness.registry import test

LUNS = [(f"vol{n:02}", 100.0 * (n + 1), 0.001 * (50 - n)) for n in range(50)]
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
FRAME, SHOW = "\x1b[?2026h", "\x1b[?2026l"
SEQUENCE = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


def values(iops, latency):
    return {"read_iops": iops, "write_iops": 0.0, "read_latency_p99": latency, "write_latency_p99": None, "queue_depth": 1,
            "read_bytes_per_s": None, "cpu_percent": 12.0}


class Service(http.server.BaseHTTPRequestHandler):
    """Health, top and sessions; `answering` False: closes without a word."""

    answering = True
    asked = []
    names = [name for name, _, _ in LUNS]

    def do_GET(self):  # noqa: N802 (the name that http.server calls)
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        type(self).asked.append(self.path)
        if not type(self).answering:
            self.connection.close()
            return
        if url.path == "/api/v1/health":
            body = {"status": "warning", "summary": "1 thing to look at.", "reasons": []}
        elif url.path == "/api/v1/sessions":
            body = {"items": [{"id": "vol49", "initiator": "iqn.i", "target": "iqn.t"}], "next_cursor": None}
        elif query["kind"] == "host":
            body = {"items": [{"object": "host:h", "name": "h", "values": values(4321.0, 0.002)}]}
        else:
            body = {"kind": query["kind"], "sort": query["sort"], "time": "2026-11-22T21:11:34.000Z", "time_ms": 1795381894000,
                    "items": [{"object": f"{query['kind']}:{name}", "name": name, "values": values(iops, latency)}
                              for name, (_, iops, latency) in zip(type(self).names, LUNS)]}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def service():
    """A Service on a free port; yields its class."""
    handler = type("Answers", (Service,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def variables(answers):
    return {**os.environ, "LUNETTE_SERVER": answers.url, "LUNETTE_TOKEN": "secret", "TERM": "xterm", "LC_ALL": "C.UTF-8"}


class Terminal:
    """A pty with `lunette top` on it."""

    def __init__(self, env, answers, *words, rows=24, columns=100):
        self.env = env
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([str(env.programs.cli), "top", *words], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env=variables(answers), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        env.processes.append(self.process)
        self.output = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout_s=0.05):
        if select.select([self.master], [], [], timeout_s)[0]:
            self.output += os.read(self.master, 65536).decode(errors="replace")

    def until(self, condition, what, timeout_s=15):
        deadline = time.monotonic() + timeout_s * self.env.slow
        while not condition():
            assert time.monotonic() < deadline, f"not seen: {what}\n{self.output[-3000:]!r}"
            self.read()

    def frame(self):
        """The lines of the newest whole frame; none before the first."""
        whole = self.output.rpartition(SHOW)[0].rpartition(FRAME)[2]
        return SEQUENCE.sub("", whole).replace("\r", "").split("\n")

    def shows(self, text, timeout_s=15):
        self.until(lambda: any(text in line for line in self.frame()), text, timeout_s)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def ended(self):
        """Waits for the end; its exit status. The terminal must be as it was."""
        self.until(lambda: self.process.poll() is not None, "the end")
        self.read()
        assert self.output.count(ENTER) == self.output.count(LEAVE) > 0, self.output[-500:]
        assert self.output.rindex(LEAVE) > self.output.rindex(ENTER)
        assert self.output.rindex("\x1b[?25h") > self.output.rindex("\x1b[?25l"), "the cursor is hidden"
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's settings are not as they were"
        os.close(self.master)
        os.close(self.slave)
        return self.process.returncode


@test(quick=True)
def top_shows_the_busiest_first_and_obeys_its_keys(env):
    with service() as answers:
        top = Terminal(env, answers)
        top.shows("vol49")
        lines = top.frame()
        assert lines[0].startswith("lunette: warning. 1 thing to look at.") and "4.3k IOPS" in lines[1], lines
        assert "LUNs by iops, 1-20 of 50" in lines[2] and lines[4].startswith("vol49"), lines
        top.press("\x1b[B")
        top.shows("2-21 of 50")
        top.press("\x1b[F")
        top.shows("31-50 of 50")
        top.press("\x1b[H")
        top.shows("1-20 of 50")
        top.press("ss")
        top.shows("LUNs by p99")
        assert top.frame()[4].startswith("vol00"), top.frame()
        top.press("k")
        top.shows("Sessions by p99")
        top.press("h")
        top.shows("the next kind")
        top.press("hp")
        top.shows("PAUSED")
        top.press("q")
        assert top.ended() == 0


@test(quick=True)
def top_follows_the_size_of_its_window(env):
    with service() as answers:
        top = Terminal(env, answers)
        top.shows("R-P99")
        top.resize(8, 20)
        top.process.send_signal(signal.SIGWINCH)
        top.until(lambda: len(top.frame()) <= 8 and max(map(len, top.frame())) <= 20, "a small frame")
        top.shows("NAME            IOPS")
        top.press("q")
        assert top.ended() == 0


@test(quick=True)
def top_gives_the_terminal_back_whatever_ends_it(env):
    with service() as answers:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT):
            top = Terminal(env, answers)
            top.shows("vol49")
            if number == signal.SIGINT:
                top.press("\x03")
            else:
                top.process.send_signal(number)
            assert top.ended() == -number


@test(quick=True)
def top_gives_the_terminal_back_while_it_is_stopped(env):
    with service() as answers:
        top = Terminal(env, answers)
        top.shows("vol49")
        top.process.send_signal(signal.SIGTSTP)
        top.until(lambda: LEAVE in top.output, "the terminal given back")
        os.waitpid(top.process.pid, os.WUNTRACED)
        assert termios.tcgetattr(top.slave) == top.before
        top.process.send_signal(signal.SIGCONT)
        top.until(lambda: top.output.count(ENTER) == 2, "back")
        top.press("q")
        assert top.ended() == 0


@test(quick=True)
def top_says_when_the_service_is_gone_and_goes_on_when_it_is_back(env):
    with service() as answers:
        top = Terminal(env, answers)
        top.shows("vol49")
        answers.answering = False
        top.shows("cannot reach")
        assert not any("vol49" in line for line in top.frame()), top.frame()
        answers.answering = True
        top.shows("vol49")
        top.press("q")
        assert top.ended() == 0


@test(quick=True)
def top_shows_names_that_are_no_text_harmlessly(env):
    with service() as answers:
        answers.names = ["a\x1b]0;evil\x07b", "x" * 10000] + answers.names[2:]
        top = Terminal(env, answers, "--sort", "p99")
        top.shows("a?]0;evil?b")
        assert "\x1b]0" not in top.output and "\x07" not in top.output
        assert max(map(len, top.frame())) <= 100
        top.press("q")
        assert top.ended() == 0


@test(quick=True)
def top_without_a_terminal_prints_one_table_or_json(env):
    with service() as answers:
        for words in ((), ("--once",)):
            shown = env.run(env.programs.cli, "top", *words, env=variables(answers)).stdout
            assert "\x1b" not in shown and len(shown.splitlines()) == 51, shown
            assert shown.splitlines()[0].startswith("NAME") and shown.splitlines()[1].startswith("vol49"), shown
        shown = json.loads(env.run(env.programs.cli, "top", "--kind", "worker", "--output", "json", env=variables(answers)).stdout)
        assert shown["kind"] == "worker" and shown["items"][0]["values"]["write_latency_p99"] is None, shown
        shown = env.run(env.programs.cli, "top", "--kind", "session", env=variables(answers)).stdout
        assert "vol49 iqn.i > iqn.t" in shown, shown
        assert env.run(env.programs.cli, "top", "--kind", "disk", env=variables(answers), check=False).returncode == 2
        answers.answering = False
        assert env.run(env.programs.cli, "top", env=variables(answers), check=False).returncode == 3
