"""Real initiators: libiscsi's tools, QEMU's block layer, and our own verify_io."""
import json
import random
import signal
import subprocess
import threading

from . import wait

# QEMU 7.2 asks for the state of 2^31 - 512 bytes before it reads 32 KiB or more of a thin LUN, and then insists that this is
# a whole number of blocks: with blocks of 4096 bytes, longer reads end it.
QEMU_READ_MAX = 28672
INITIATOR = "iqn.2026-11.io.lunette.test:initiator"


def iscsi_ls(env, url, *options, check=True, initiator=INITIATOR):
    """Discovery by libiscsi's iscsi-ls: its output. url: "iscsi://[user%secret@]address:port"."""
    done = env.run("iscsi-ls", *options, "-i", initiator, url, check=check, timeout_s=20)
    return done.stdout if check else done


def qemu_io(env, image, commands, *options, check=True, timeout_s=120):
    """Runs qemu-io's commands (strings) on an image; its output. blkverify makes it abort on a difference."""
    return env.run("qemu-io", "-f", "raw", *options, image, check=check, timeout_s=timeout_s,
                   stdin=None, input="\n".join(commands) + "\nquit\n")


def random_patterns(seed, size_bytes, block_bytes, count, zeroes=False):
    """qemu-io commands: writes and reads of random extents, many crossing every kind of border.

    zeroes: writes of zeroes and discards too (blkverify of QEMU 7.2 has an assertion against them)."""
    dice = random.Random(seed)
    commands = []
    for _ in range(count):
        blocks = dice.choice((1, 1, 2, 3, 7, 8, 16, 33, 128, 257, 512))
        at = dice.randrange(size_bytes // block_bytes - blocks) * block_bytes
        if dice.random() < 0.25:
            at = min(at // (1 << 20) * (1 << 20), size_bytes - blocks * block_bytes)
        if block_bytes > 512:
            blocks = min(blocks, QEMU_READ_MAX // block_bytes)
        kind = dice.choices(("write", "read", "write -f", "flush", "write -z", "write -z -u", "discard"),
                            (50, 35, 5, 2) + ((8, 8, 8) if zeroes else (0, 0, 0)))[0]
        if kind == "flush":
            commands.append("flush")
        elif kind.startswith("write") and "-z" not in kind:
            commands.append(f"{kind} -P {dice.randrange(1, 256)} {at} {blocks * block_bytes}")
        else:
            commands.append(f"{kind} {at} {blocks * block_bytes}")
    return commands


class VerifyIo:
    """tests/system/verify_io in the background: verified reads and writes until it is told to stop."""

    def __init__(self, env, url, *options):
        self.env = env
        self.process = env.start(env.tool("system/verify_io"), *options, url)
        first = self.process.stdout.readline()
        if not first.startswith("started"):
            raise AssertionError(f"verify_io: {first}{self.process.stderr.read()}")
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    @property
    def reconnects(self):
        """How often it has lost its session and is back."""
        return sum(line.startswith("reconnected") for line in list(self.lines))

    def wait_for_reconnect(self, number, timeout_s=15):
        """Waits until it is back for the number-th time."""
        wait.until(lambda: self.reconnects >= number or self.process.poll() is not None, f"reconnect {number}",
                   timeout_s * self.env.slow)

    def finish(self, timeout_s=60):
        """Ends it (a last full read included); its report as a dictionary. A wrong byte fails the test."""
        self.process.send_signal(signal.SIGTERM)
        return self.result(timeout_s)

    def result(self, timeout_s=60):
        """Waits until it has ended by itself."""
        try:
            self.process.wait(timeout_s * self.env.slow)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("verify_io does not end") from None
        self.reader.join(10)
        err = self.process.stderr.read()
        assert self.lines and self.lines[-1].startswith("{"), f"verify_io ended with {self.process.returncode}: {err}"
        report = json.loads(self.lines[-1])
        assert report["wrong"] == 0 and self.process.returncode == 0, f"verify_io: {self.lines[-1]}\n{err}"
        return report
