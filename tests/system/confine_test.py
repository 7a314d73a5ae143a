"""What control and the workers may not do: who they run as, seccomp, Landlock, and a state directory that changes hands."""
import ctypes
import ctypes.util
import os
import pathlib
import pwd
import re
import signal
import subprocess

from harness import process, wait
from harness.registry import test

CAP_NET_BIND_SERVICE = 1 << 10
SOMEBODY = 4711
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def fields(daemon):
    return {role: process.status(pid) for role, pid in daemon.roles().items()}


def assert_unprivileged(daemon, uid, gid):
    for role, of in fields(daemon).items():
        assert set(of["Uid"].split()) == {str(uid)}, (role, of)
        assert set(of["Gid"].split() + of["Groups"].split()) == {str(gid)}, (role, of)
        keeps = CAP_NET_BIND_SERVICE if role == "control" else 0
        for name in CAPABILITIES:
            expected = keeps if name in ("CapPrm", "CapEff") else 0
            assert int(of[name], 16) == expected, (role, name, of[name])


def usual_user():
    """(uid, gid) of the user that lunetted chooses."""
    for name in ("lunette", "nobody"):
        try:
            return pwd.getpwnam(name)[2:4]
        except KeyError:
            pass
    raise AssertionError("there is no user nobody")


def in_use(daemon):
    """Makes it do a bit of everything: a file LUN with I/O, a chart as PNG."""
    daemon.serve("vol1", size_bytes=8 << 20)
    done = subprocess.run(["iscsi-inq", daemon.url()], capture_output=True, text=True, timeout=30 * daemon.slow, check=False)
    assert done.returncode == 0, done
    assert daemon.picture("/api/v1/charts/iops.png") is not None, "no rsvg-convert"


@test(quick=True)
def every_child_is_confined(env):
    daemon = env.daemon(workers=2)
    in_use(daemon)
    for role, of in fields(daemon).items():
        assert of["Seccomp"] == "2" and of["NoNewPrivs"] == "1", (role, of["Seccomp"], of["NoNewPrivs"])
    assert process.status(daemon.process.pid)["Seccomp"] == "0"
    assert "refused" not in daemon.log() and "not restricted" not in daemon.log(), daemon.log()


@test(quick=True)
def started_as_root_control_and_workers_run_as_an_ordinary_user(env):
    if os.geteuid() != 0:
        env.skip("needs root")
    daemon = env.daemon(workers=2)
    in_use(daemon)
    assert_unprivileged(daemon, *usual_user())
    assert os.stat(daemon.state).st_uid == usual_user()[0]
    daemon.wait_for_new("worker0", daemon.kill("worker0"))
    daemon.wait_for_new("control", daemon.kill("control"))
    wait.until(daemon.rest_answers, "ready again", 5 * env.slow)
    assert_unprivileged(daemon, *usual_user())


@test(quick=True)
def with_user_the_children_run_as_that_user_for_ever(env):
    if os.geteuid() != 0:
        env.skip("needs root")
    daemon = env.daemon(extra=["--user", "daemon"])
    assert_unprivileged(daemon, *pwd.getpwnam("daemon")[2:4])
    daemon.rest.put("/luns/vol1", {"size_bytes": 1 << 20})
    children = list(daemon.roles().values())
    daemon.process.kill()
    daemon.process.wait(10)
    wait.until(lambda: not any(process.alive(pid) for pid in children), "children gone", 5 * env.slow)


@test(quick=True)
def a_private_key_of_root_and_a_low_port_are_no_obstacle(env):
    if os.geteuid() != 0:
        env.skip("needs root")
    key, certificate = env.scratch / "key.pem", env.scratch / "cert.pem"
    env.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
    assert os.stat(key).st_mode & 0o077 == 0 and os.stat(env.scratch).st_mode & 0o077 == 0
    low = next(port for port in range(1023, 600, -1) if process.is_free(port))
    daemon = env.daemon(extra=["--tls-cert", str(certificate), "--tls-key", str(key)], portals=[f"127.0.0.1:{low}"])
    shown = env.run("curl", "-sk", f"https://127.0.0.1:{daemon.http_port}/livez")
    assert shown.returncode == 0, shown
    assert f"portal=127.0.0.1:{low}" in daemon.ready_line


@test(quick=True)
def a_state_directory_of_root_is_handed_over_with_all_in_it(env):
    """The upgrade: an earlier lunetted ran as root and left everything as root's."""
    if os.geteuid() != 0:
        env.skip("needs root")
    daemon = env.daemon(extra=["--user", "root"])
    assert set(fields(daemon)["control"]["Uid"].split()) == {"0"}
    assert "run as root" in daemon.log()
    daemon.serve("vol1", size_bytes=8 << 20)
    env.run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 0 1M", daemon.url())
    token = daemon.token()
    assert daemon.terminate() == 0
    assert os.stat(daemon.state).st_uid == 0
    other = env.scratch / "of-somebody"
    other.write_text("x", encoding="utf-8")
    (daemon.state / "second-name").hardlink_to(other)
    (daemon.state / "elsewhere").symlink_to(other)
    daemon.extra = []
    daemon.start()
    assert_unprivileged(daemon, *usual_user())
    assert daemon.token() == token
    env.run("qemu-io", "-f", "raw", "-c", "read -P 0x5a 0 1M", daemon.url())
    assert os.stat(other).st_uid == 0
    owners = {p.lstat().st_uid for p in daemon.state.rglob("*") if p.name not in ("second-name", "lunetted.lock")}
    assert owners == {usual_user()[0]}, owners


@test(quick=True)
def a_state_directory_of_an_ordinary_user_stays_his(env):
    if os.geteuid() != 0:
        env.skip("needs root")
    daemon = env.daemon(start=False)
    daemon.state.mkdir(mode=0o700)
    os.chown(daemon.state, SOMEBODY, SOMEBODY)
    daemon.start()
    in_use(daemon)
    assert_unprivileged(daemon, SOMEBODY, SOMEBODY)
    assert {p.lstat().st_uid for p in daemon.state.rglob("*") if p.name != "lunetted.lock"} == {SOMEBODY}


@test(quick=True)
def an_ordinary_user_can_run_it(env):
    if os.geteuid() != 0:
        env.skip("needs root, to become somebody")
    home = env.scratch / "home"
    home.mkdir(mode=0o700)
    os.chown(home, SOMEBODY, SOMEBODY)
    env.scratch.chmod(0o711)
    program = pathlib.Path(env.programs.daemon).resolve()
    if not reachable(program):
        copied = env.scratch / "lunetted"
        copied.write_bytes(program.read_bytes())
        copied.chmod(0o755)
        program = copied
    daemon = env.daemon(start=False, state=home / "state")
    daemon.program = str(program)
    daemon.prefix = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
    daemon.start()
    in_use(daemon)
    assert {of["Seccomp"] for of in fields(daemon).values()} == {"2"}
    assert {of["Uid"].split()[0] for of in fields(daemon).values()} == {str(SOMEBODY)}


def reachable(path):
    """True when everybody may pass through all directories above and run it."""
    return all(os.stat(p).st_mode & 0o001 for p in [path, *path.parents])


@test(quick=True)
def the_escape_hatches_are_named_loudly(env):
    daemon = env.daemon(extra=["--no-seccomp", "--no-landlock"])
    assert {of["Seccomp"] for of in fields(daemon).values()} == {"0"}
    log = daemon.log()
    assert log.count("warning supervisor --no-seccomp:") == 1 and log.count("warning supervisor --no-landlock:") == 1, log


def refuse_seccomp():
    """What a container does that allows no filters of one's own: seccomp(2) is not permitted. Runs in the child."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(0x7fff0000)
    library.seccomp_rule_add(context, 0x00050001, library.seccomp_syscall_resolve_name(b"seccomp"), 0)
    assert library.seccomp_load(context) == 0


@test(quick=True)
def where_seccomp_is_refused_one_warning_is_logged_and_it_serves(env):
    daemon = env.daemon(workers=2, start=False)
    daemon.preexec = refuse_seccomp
    daemon.start()
    in_use(daemon)
    assert daemon.log().count("seccomp is refused here") == 1, daemon.log()


@test(quick=True)
def a_forbidden_system_call_is_named_and_the_process_starts_again(env):
    """A SIGSYS from outside is what the kernel sends for one; that the real one is named is a unit test (confine_test.c)."""
    daemon = env.daemon()
    old = daemon.kill("worker0", signal.SIGSYS)
    daemon.wait_for_new("worker0", old)
    assert re.search(r"worker0 used the forbidden system call .*, starting it again", daemon.log()), daemon.log()
    daemon.log_path.write_text("", encoding="utf-8")  # the harness takes such a line for a failure
