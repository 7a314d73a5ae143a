"""Many LUNs and many sessions, measured. The promises are for the release build; a sanitizer build gets more time."""
import json
import subprocess
import threading
import time

from harness import process, wait
from harness.daemon import TARGET
from harness.initiator import iscsi_ls
from harness.registry import test

LUNS = 1000
SESSIONS = 1000


@test(timeout_s=240)
def a_thousand_luns_are_served_two_seconds_after_the_start(env):
    daemon = env.daemon()
    luns = {f"vol{n}": {"size_bytes": 1 << 20, "block_size": 512} for n in range(LUNS)}
    mappings = {str(n): {"lun": f"vol{n}"} for n in range(LUNS)}
    started = time.monotonic()
    config = {**daemon.rest.get("/config").json, "luns": luns, "targets": {TARGET: {"luns": mappings}}}
    daemon.rest.call("PUT", "/config", config, headers={"If-Match": "*"}, expect=(200, 202))
    wait.until(lambda: daemon.rest.get(f"/luns/vol{LUNS - 1}", expect=(200, 404)).status == 200, "all made", 60 * env.slow)
    env.note(f"{LUNS} LUNs made in {time.monotonic() - started:.2f} s")
    daemon.restart()
    env.note(f"start to ready with {LUNS} LUNs: {daemon.ready_after_s:.3f} s")
    assert iscsi_ls(env, f"iscsi://{daemon.portal()}", "-s").count("Lun:") == LUNS
    if env.slow == 1.0:
        assert daemon.ready_after_s < 2.0, daemon.ready_after_s


@test(timeout_s=120)
def a_thousand_idle_sessions_cost_little(env):
    daemon = env.daemon()
    daemon.serve("vol", 8 << 20, store="memory")
    before = sum(process.memory_kib(p) for p in daemon.everyone())
    holder = env.start(env.tool("bench/sessions"), "--address", daemon.portal(), "--target", TARGET, "--count", SESSIONS,
                       "--hold", stdin=subprocess.PIPE)
    line = holder.stdout.readline()
    assert line, holder.stderr.read()
    seconds = json.loads(line)["seconds"]
    each = (sum(process.memory_kib(p) for p in daemon.everyone()) - before) / SESSIONS
    cpu = sum(process.cpu_s(p) for p in daemon.everyone())
    threading.Event().wait(3)  # a length of time is what is measured
    cpu = (sum(process.cpu_s(p) for p in daemon.everyone()) - cpu) / 3 * 100
    env.note(f"{SESSIONS} logins in {seconds:.3f} s; {each:.1f} KiB a session; {cpu:.2f} % of a CPU while idle")
    listed = daemon.rest.get("/sessions?limit=1000").json["items"]
    holder.stdin.close()
    assert json.loads(holder.stdout.readline())["lost"] == 0
    assert len(listed) == SESSIONS, len(listed)
    if env.slow == 1.0:
        assert each < 32 and seconds < 0.5 and cpu < 2.0, (each, seconds, cpu)
    wait.until(lambda: daemon.rest.get("/sessions").json["items"] == [], "all sessions gone", 20 * env.slow)


@test(timeout_s=90)
def nothing_is_left_of_connections_that_ended(env):
    daemon = env.daemon()
    daemon.serve("vol", 8 << 20, store="memory")
    words = [env.tool("bench/sessions"), "--address", daemon.portal(), "--target", TARGET, "--count", 200]
    env.run(*words)
    worker = daemon.roles()["worker0"]
    wait.until(lambda: daemon.rest.get("/sessions").json["items"] == [], "all sessions gone", 20 * env.slow)
    files, memory = process.descriptors(worker), process.memory_kib(worker)
    for _ in range(10):
        env.run(*words)
    wait.until(lambda: process.descriptors(worker) <= files, "descriptors closed", 20 * env.slow)
    grown = process.memory_kib(worker) - memory
    env.note(f"after 2,000 more sessions: {grown} KiB grown")
    if env.slow == 1.0:
        assert grown < 4096, grown


@test(quick=True)
def an_idle_daemon_uses_no_cpu(env):
    daemon = env.daemon(workers=2, reactors=2)
    daemon.serve("vol", 8 << 20)
    before = sum(process.cpu_s(p) for p in daemon.everyone())
    threading.Event().wait(2)  # a length of time is what is measured
    used = sum(process.cpu_s(p) for p in daemon.everyone()) - before
    env.note(f"{used / 2 * 100:.2f} % of a CPU")
    assert used <= 0.04 * env.slow, used
