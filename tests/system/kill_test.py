"""Processes killed while verified I/O runs: nothing acknowledged is lost, and the others notice as little as promised."""
import signal
import time

from harness import wait
from harness.daemon import TARGET
from harness.initiator import VerifyIo, iscsi_ls
from harness.registry import test

WORKER_BACK_S = 1.0
CONTROL_STALL_MS = 100


@test(quick=True)
def a_killed_worker_is_back_in_a_second_and_no_write_is_lost(env):
    daemon = env.daemon()
    running = VerifyIo(env, daemon.serve("vol", 32 << 20), "--queue-depth", 16)
    for number in range(3):
        daemon.kill("worker0")
        running.wait_for_reconnect(number + 1)
    report = running.finish()
    env.note(f"longest outage {report['max_outage_ms']:.0f} ms over {report['reconnects']} reconnects, "
             f"{report['operations']} operations")
    assert report["reconnects"] == 3 and report["errors"] == 0, report
    assert report["max_outage_ms"] < WORKER_BACK_S * 1000 * env.slow, report


@test(timeout_s=180)
def eight_kills_in_a_row_lose_no_write(env):
    """The supervisor waits longer before each start, so this also sees initiators keep on trying."""
    daemon = env.daemon(reactors=2)
    running = VerifyIo(env, daemon.serve("vol", 64 << 20, target_object_size_bytes=16 << 20), "--queue-depth", 32,
                       "--reconnect-timeout-ms", 60000)
    for number in range(8):
        daemon.kill("worker0")
        running.wait_for_reconnect(number + 1, 30)
    report = running.finish()
    env.note(f"longest outage {report['max_outage_ms']:.0f} ms over {report['reconnects']} reconnects")
    assert report["errors"] == 0, report


@test(quick=True)
def a_killed_worker_does_not_touch_the_targets_of_another(env):
    daemon = env.daemon(workers=2)
    urls = [daemon.serve(f"vol{n}", 32 << 20, target=f"iqn.2026-11.io.lunette:t{n}") for n in range(4)]
    running = [VerifyIo(env, url, "--seed", n) for n, url in enumerate(urls)]
    daemon.kill("worker0")
    wait.until(lambda: any(one.reconnects for one in running), "somebody is back", 10 * env.slow)
    reports = [one.finish() for one in running]
    touched = [r["reconnects"] > 0 for r in reports]
    assert any(touched) and not all(touched), reports


@test(quick=True)
def a_killed_control_costs_no_io_and_rest_is_back_with_the_same_state(env):
    daemon = env.daemon()
    running = VerifyIo(env, daemon.serve("vol", 32 << 20), "--queue-depth", 4)
    before = daemon.rest.get("/luns").json["items"]
    without = []  # REST, in seconds
    for _ in range(3):
        started = time.monotonic()
        old = daemon.kill("control")
        daemon.wait_for_new("control", old)
        wait.until(daemon.rest_answers, "REST answers again", 5 * env.slow)
        without.append(time.monotonic() - started)
    assert daemon.rest.get("/luns").json["items"] == before
    assert len(running_sessions(daemon)) == 1
    report = running.finish()
    env.note(f"REST back after {max(without) * 1000:.0f} ms; longest gap between completions {report['max_gap_ms']:.1f} ms")
    assert report["errors"] == 0 and report["reconnects"] == 0, report
    # I/O that waits for control waits for as long as REST is away; on a busy machine that is long
    assert report["max_gap_ms"] < max(CONTROL_STALL_MS * env.slow, max(without) * 1000), (report, without)
    assert max(without) < 1.0 * env.slow, without


@test(quick=True)
def changes_made_after_control_died_reach_the_workers(env):
    daemon = env.daemon()
    daemon.serve("vol1")
    old = daemon.kill("control")
    daemon.wait_for_new("control", old)
    wait.until(daemon.rest_answers, "REST answers again", 5 * env.slow)
    daemon.serve("vol2", number=1)
    shown = iscsi_ls(env, f"iscsi://{daemon.portal()}", "-s")
    assert "Lun:0" in shown and "Lun:1" in shown, shown


@test(timeout_s=90)
def a_worker_that_dies_again_and_again_is_reported_and_started_ever_later(env):
    daemon = env.daemon()
    daemon.serve("vol")
    deaths = []
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        pid = daemon.roles().get("worker0")
        if pid and (not deaths or deaths[-1][1] != pid):
            daemon.kill("worker0")
            deaths.append((time.monotonic(), pid))
        time.sleep(wait.POLL_S)
    gaps = [b[0] - a[0] for a, b in zip(deaths, deaths[1:])]
    env.note(f"{len(deaths)} deaths; pauses " + " ".join(f"{g:.2f}" for g in gaps) + " s")
    assert len(gaps) >= 2 and gaps[-1] > 2 * gaps[0], gaps
    health = wait.until(lambda: (h := daemon.health())["status"] != "ok" and h, "health says so", 5)
    assert "worker" in str(health), health
    wait.until(lambda: daemon.roles().get("worker0"), "a worker at last", 40 * env.slow)


@test(quick=True)
def sigterm_drains_and_exits_in_good_order(env):
    daemon = env.daemon()
    url = daemon.serve("vol", 32 << 20)
    running = VerifyIo(env, url, "--reconnect-timeout-ms", "15000")
    started = time.monotonic()
    assert daemon.terminate() == 0, daemon.log()[-1000:]
    env.note(f"drained in {time.monotonic() - started:.2f} s")
    daemon.ready_after_s = None
    daemon.start()
    report = running.finish()
    assert report["reconnects"] >= 1, report


@test(quick=True)
def no_process_outlives_a_killed_supervisor(env):
    daemon = env.daemon()
    daemon.serve("vol")
    children = list(daemon.roles().values())
    assert len(children) == 2, daemon.roles()
    daemon._kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(10)
    from harness import process
    wait.until(lambda: not any(process.alive(p) for p in children), "children gone", 6 * env.slow)
    daemon.start()
    assert TARGET in iscsi_ls(env, f"iscsi://{daemon.portal()}")


@test(quick=True)
def a_second_daemon_on_the_same_state_is_refused_with_one_line(env):
    daemon = env.daemon()
    second = env.daemon(start=False, state=daemon.state)
    second.log_path = env.scratch / "second.log"
    done = env.run(*second.command(), check=False, timeout_s=15)
    lines = [line for line in done.stderr.splitlines() + done.stdout.splitlines() if line.strip()]
    env.note(lines[0] if lines else "no line")
    assert done.returncode != 0 and len(lines) == 1 and str(daemon.state) in lines[0], done
    env.daemons.remove(second)
    assert daemon.rest_answers()


def running_sessions(daemon):
    """Normal sessions as REST lists them; empty while REST does not answer."""
    try:
        return daemon.rest.get("/sessions").json["items"]
    except OSError:
        return []
