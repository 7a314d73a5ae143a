"""What /proc says about processes, and free ports."""
import os
import pathlib
import socket
import subprocess

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def children(pid):
    """Process ids of the children of a process; none when it is gone."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(p) for p in task.read_text().split()]
        except OSError:
            pass
    return sorted(found)


def arguments(pid):
    """The command line of a process as a list; empty when it is gone or a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def alive(pid):
    """True for a process that runs; false for a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_s(pid):
    """User and system CPU time that the process (all its threads) has used, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_kib(pid):
    """Proportional resident memory of the process: shared pages are shared out."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def descriptors(pid):
    """How many file descriptors the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def limit_descriptors(pid, soft):
    """Sets how many descriptors the process may have open; returns what it was. Done as its user, who may; root needs more."""
    user, group = (int(status(pid)[name].split()[0]) for name in ("Uid", "Gid"))
    prlimit = ["prlimit", "--pid", str(pid)]
    who = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    before = subprocess.run([*prlimit, "--nofile", "--raw", "--noheadings", "--output", "SOFT"], check=True, text=True,
                            capture_output=True, **who)
    subprocess.run([*prlimit, f"--nofile={soft}:"], check=True, **who)
    return int(before.stdout)


def status(pid):
    """/proc/PID/status as a dictionary of strings."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def free_port(family=socket.AF_INET):
    """A TCP port that nobody uses on loopback now."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    """True when nobody uses the TCP port on 127.0.0.1 now."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def have_ipv6():
    """True when ::1 can be bound."""
    try:
        free_port(socket.AF_INET6)
        return True
    except OSError:
        return False
