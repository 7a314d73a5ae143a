"""Runs in the guest: takes commands from the host and answers with what they printed.

One JSON object a line in both directions, over the virtio serial port: {"id", "command", "timeout_s"} in,
{"id", "status", "output"} out. Commands run at the same time when several are sent. status None: stopped at its time-out.
"""
import glob
import json
import os
import signal
import subprocess
import threading

PORT = "/dev/vport*p1"
OUTPUT_MAX = 1 << 20


def execute(request):
    """Runs one command in a process group of its own."""
    with subprocess.Popen(["bash", "-c", request["command"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as started:
        try:
            output, _ = started.communicate(timeout=request["timeout_s"])
            status = started.returncode
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            output, _ = started.communicate()
            status = None
    return {"id": request["id"], "status": status, "output": output.decode(errors="replace")[-OUTPUT_MAX:]}


def main():
    port = os.open(glob.glob(PORT)[0], os.O_RDWR)
    lock = threading.Lock()

    def answer(message):
        line = json.dumps(message).encode() + b"\n"
        with lock:
            while line:
                line = line[os.write(port, line):]

    def serve(request):
        answer(execute(request))

    answer({"id": 0, "status": 0, "output": "ready"})
    pending = b""
    while True:
        received = os.read(port, 65536)
        if not received:
            return  # the host has gone
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()


main()
