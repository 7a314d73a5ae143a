"""The supervisor with the real control and workers: deaths, restarts, stops, and the second daemon on one state."""
import os
import signal
import stat
import time

from harness import process, wait
from harness.registry import test

EXIT_STATE_IN_USE = 3
BACK_S = 1.0


@test(quick=True)
def ready_is_the_only_line_on_standard_output(env):
    daemon = env.daemon(workers=2)
    daemon.wait_for_new("worker1", daemon.kill("worker1"))
    assert daemon.terminate() == 0
    assert len(daemon.lines) == 1, daemon.lines
    words = daemon.lines[0].split()
    assert words[0] == "ready", words
    assert f"state={daemon.state}" in words and f"token={daemon.state}/admin.token" in words, words
    assert f"http=127.0.0.1:{daemon.http_port}" in words, words


@test(quick=True)
def state_directory_and_token_are_private(env):
    daemon = env.daemon()
    assert stat.S_IMODE(os.stat(daemon.state).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(daemon.state / "admin.token").st_mode) == 0o600


@test(quick=True)
def children_inherit_no_descriptor_of_who_started_the_daemon(env):
    wrapper = env.scratch / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec 7<"$0"\nexec {env.programs.daemon} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o700)
    daemon = env.daemon(start=False)
    daemon.program = str(wrapper)
    daemon.start()
    assert os.readlink(f"/proc/{daemon.process.pid}/fd/7") == str(wrapper)
    for role, pid in daemon.roles().items():
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert str(wrapper) not in links, role
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null", role


@test(quick=True)
def a_second_daemon_on_the_same_state_is_refused_in_one_line(env):
    first = env.daemon()
    done = env.run(env.programs.daemon, "--state", first.state, "--http", f"127.0.0.1:{process.free_port()}",
                   "--portal", f"127.0.0.1:{process.free_port()}", check=False)
    assert done.returncode == EXIT_STATE_IN_USE, done
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1 and "is in use by another lunetted" in lines[0], done.stderr
    assert str(first.process.pid) in lines[0], lines
    assert done.stdout == ""
    assert first.rest_answers()


@test(quick=True)
def an_address_in_use_is_refused_in_one_line(env):
    first = env.daemon()
    second = env.daemon(start=False)
    done = env.run(env.programs.daemon, "--state", second.state, "--http", f"127.0.0.1:{first.http_port}",
                   "--portal", f"127.0.0.1:{process.free_port()}", check=False)
    assert done.returncode not in (0, EXIT_STATE_IN_USE), done
    assert [line for line in done.stderr.splitlines() if line.startswith("lunetted: ")], done.stderr
    assert done.stdout == ""


@test(quick=True)
def a_killed_control_is_back_in_a_second_with_the_same_state(env):
    daemon = env.daemon()
    daemon.rest.put("/luns/vol1", {"size_bytes": 1 << 20, "store": "memory"})
    token, before = daemon.token(), daemon.roles()["worker0"]
    started = time.monotonic()
    daemon.wait_for_new("control", daemon.kill("control"))
    wait.until(daemon.rest_answers, "REST", BACK_S * 3 * env.slow)
    took_s = time.monotonic() - started
    env.note(f"REST is back after {took_s * 1000:.0f} ms")
    assert took_s < BACK_S * env.slow, took_s
    assert daemon.token() == token
    assert daemon.rest.get("/luns/vol1").status == 200
    assert daemon.roles()["worker0"] == before


@test(quick=True)
def a_killed_worker_is_back_in_a_second(env):
    daemon = env.daemon(workers=2)
    others = daemon.roles()
    started = time.monotonic()
    daemon.wait_for_new("worker0", daemon.kill("worker0"))
    took_s = time.monotonic() - started
    env.note(f"a new process after {took_s * 1000:.0f} ms")
    assert took_s < BACK_S * env.slow, took_s
    assert daemon.roles()["worker1"] == others["worker1"] and daemon.roles()["control"] == others["control"]
    wait.until(daemon.rest_answers, "ready again", 5 * env.slow)


@test()
def a_worker_that_dies_again_and_again_waits_longer_and_is_reported(env):
    daemon = env.daemon()
    delays = []
    for _ in range(5):
        started = time.monotonic()
        daemon.wait_for_new("worker0", daemon.kill("worker0"), 10)
        delays.append(time.monotonic() - started)
    env.note("new process after " + ", ".join(f"{delay * 1000:.0f}" for delay in delays) + " ms")
    assert delays[-1] > 0.3, delays
    assert delays[0] < BACK_S * env.slow, delays
    reasons = wait.until(lambda: [r for r in daemon.health()["reasons"] if r["object"] == "worker:0"], "a reason", 5 * env.slow)
    assert "started" in reasons[0]["detail"], reasons
    assert daemon.log().count("killed by SIGKILL, starting it again") == 5


@test(quick=True)
def sigterm_stops_everything_in_good_order(env):
    daemon = env.daemon(workers=2)
    everyone = daemon.everyone()
    assert daemon.terminate() == 0
    wait.until(lambda: not any(process.alive(pid) for pid in everyone), "all processes gone", 1)
    log = daemon.log()
    assert "did not finish in time" not in log, log
    assert "starting it again" not in log, log


@test(quick=True)
def a_signal_to_the_whole_group_is_one_orderly_stop(env):
    """What the terminal does on Ctrl-C, and timeout(1): every process gets it, only the supervisor acts."""
    for number in (signal.SIGINT, signal.SIGTERM):
        daemon = env.daemon(workers=2)
        for pid in reversed(daemon.everyone()):
            os.kill(pid, number)
        assert daemon.process.wait(20 * env.slow) == 0
        assert "killed by" not in daemon.log()


@test(quick=True)
def the_death_of_the_supervisor_ends_its_children_and_frees_the_state(env):
    daemon = env.daemon(workers=2)
    children = list(daemon.roles().values())
    daemon.process.kill()
    daemon.process.wait(10)
    wait.until(lambda: not any(process.alive(pid) for pid in children), "children gone", 5 * env.slow)
    daemon.start()


@test(quick=True)
def a_wrong_command_line_is_refused_with_a_reason(env):
    for words, reason in ((["--workers", "0"], "--workers"), (["--http", "localhost:1"], "--http"), (["serve"], "serve"),
                          (["--tls-key", "k"], "--tls-cert")):
        done = env.run(env.programs.daemon, *words, check=False)
        assert done.returncode == 2 and reason in done.stderr and done.stderr.count("\n") == 1, done
    assert "--portal" in env.run(env.programs.daemon, "--help").stdout
