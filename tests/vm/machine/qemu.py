"""A running guest: started, asked to run commands, watched, stopped.

The network is QEMU's user network: what the guest connects to is connected to from this host (from this network namespace,
tests/vm/run). The guest's kernel log goes to a file as it is printed.
"""
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import threading

from harness import wait

from . import image

MEMORY_MIB = 2048
BOOT_S = 180
APPEND = "console=ttyS0 loglevel=7 panic=-1 mitigations=off random.trust_cpu=on net.ifnames=0 agent={agent}"


class GuestGone(AssertionError):
    """The guest does not answer any more."""


class Failed(AssertionError):
    """A command in the guest ended with a status that the test did not expect."""


class Done:
    """What a command in the guest left: status (None: stopped at its time-out) and output (both streams)."""

    def __init__(self, command, status, output):
        self.command, self.status, self.output = command, status, output

    def __repr__(self):
        return f"{self.command}\nended in the guest with {self.status}:\n{self.output[-4000:]}"


class Guest:
    """One virtual machine. scratch: where its files go (kernel.log among them)."""

    def __init__(self, scratch, slow=1.0):
        self.scratch, self.slow = pathlib.Path(scratch), slow
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.kernel_log = self.scratch / "kernel.log"
        self.release = image.kernel_release()
        self.process = self.port = None
        self.answers = {}
        self.next_id = 0
        self.lock = threading.Lock()

    # ------------------------------------------------------------ life

    def command(self, initramfs, port):
        return [image.EMULATOR, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(min(2, os.cpu_count() or 1)),
                "-m", str(MEMORY_MIB), "-no-reboot", "-nodefaults", "-display", "none",
                "-kernel", f"/boot/vmlinuz-{self.release}", "-initrd", str(initramfs),
                "-append", APPEND.format(agent=image.HERE),
                "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
                "-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=",
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={port},server=on,wait=off",
                "-device", "virtserialport,chardev=agent,nr=1,name=agent",
                "-chardev", f"file,id=console,path={self.kernel_log}", "-serial", "chardev:console"]

    def start(self):
        """Boots and waits until the agent answers. GuestGone when it does not; Missing when qemu cannot run here at all."""
        initramfs, port = self.scratch / "initramfs", self.scratch / "agent"
        image.write_initramfs(initramfs, self.release)
        with open(self.scratch / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(self.command(initramfs, port), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        first = queue.Queue()
        self.answers = {0: first}
        try:
            self.port = wait.until(lambda: self._connect(port), "qemu's socket", 20 * self.slow)
            threading.Thread(target=self._read, args=(self.port,), daemon=True).start()
            if first.get(timeout=BOOT_S * self.slow) is None:
                raise GuestGone("it ended")
        except (OSError, queue.Empty, GuestGone, wait.Late) as error:
            why = (self.scratch / "qemu.log").read_text() + self.log()[-3000:]
            self.stop()
            raise GuestGone(f"the guest did not boot ({error!r}): {why}") from error
        return self

    def _connect(self, path):
        """A connection to the agent's port once qemu listens. Missing when qemu has ended instead."""
        if self.process.poll() is not None:
            raise image.Missing(f"{image.EMULATOR} does not run here: {(self.scratch / 'qemu.log').read_text().strip()}")
        port = socket.socket(socket.AF_UNIX)
        try:
            port.connect(str(path))
            return port
        except OSError:
            port.close()
            return None

    def _read(self, port):
        with port.makefile("rb") as stream:
            try:
                for line in stream:
                    answer = json.loads(line)
                    self.answers.pop(answer["id"]).put(answer)
            except OSError:
                pass
        for waiting in list(self.answers.values()):
            waiting.put(None)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Ends it as a power cut does: it has nothing to lose."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
        if self.port is not None:
            self.port.close()
        self.process = self.port = None

    # ------------------------------------------------------------ commands

    def start_command(self, command, timeout_s=60):
        """Begins a command; returns the function that waits for its Done."""
        waiting = queue.Queue()
        with self.lock:
            self.next_id += 1
            number = self.next_id
            self.answers[number] = waiting
            line = json.dumps({"id": number, "command": command, "timeout_s": timeout_s * self.slow})
            try:
                self.port.sendall(line.encode() + b"\n")
            except OSError as error:
                raise GuestGone(f"{command}: {error}") from error

        def finish():
            try:
                answer = waiting.get(timeout=timeout_s * self.slow + 30)
            except queue.Empty:
                answer = None
            if answer is None:
                raise GuestGone(f"no answer to: {command}\n{self.log()[-3000:]}")
            return Done(command, answer["status"], answer["output"])

        return finish

    def run(self, command, check=True, timeout_s=60):
        """Runs a command (bash) in the guest; its output, or the whole Done with check=False."""
        done = self.start_command(command, timeout_s)()
        if check and done.status != 0:
            raise Failed(repr(done))
        return done.output if check else done

    # ------------------------------------------------------------ kernel log

    def log(self):
        """Everything that the kernel has printed so far."""
        return self.kernel_log.read_text(errors="replace") if self.kernel_log.exists() else ""
