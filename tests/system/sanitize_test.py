"""SANITIZE as initiators and administrators see it: shown as an operation, never stopped half way, whatever ends."""
from harness import wait
from harness.iscsi import Connection
from harness.registry import test

OVERWRITE, BLOCK_ERASE, IMMED = 0x01, 0x02, 0x80
IN_PROGRESS = (2, 0x041B)
PATTERN = b"\x5a\xa5\x3c"


def sense(connection):
    """Key and code of TEST UNIT READY; None: it is GOOD."""
    connection.command([0] * 6)
    answer = connection.answer()
    return (answer.data[4] & 15, int.from_bytes(answer.data[14:16], "big")) if answer.status else None


def settled(daemon):
    """What a new session meets behind the unit attentions."""
    connection = Connection(daemon).login()
    found = sense(connection)
    while found and found[0] == 6:
        found = sense(connection)
    connection.close()
    return found


def start_sanitize(daemon):
    connection = Connection(daemon).login().clear_attentions()
    content = bytes([1, 0, 0, len(PATTERN)]) + PATTERN
    connection.command([0x48, OVERWRITE | IMMED, 0, 0, 0, 0, 0, 0, len(content), 0], 0xA0, len(content), data=content)
    assert connection.answer().status == 0
    connection.close()


def sanitizes(daemon):
    return [o for o in daemon.rest.get("/operations").json["items"] if o.get("kind") == "sanitize"]


@test(quick=True)
def a_sanitize_is_shown_as_an_operation_that_cannot_be_cancelled(env):
    daemon = env.daemon()
    daemon.serve("vol", 32 << 20)
    daemon.rest.patch("/settings", {"sanitize_bytes_per_s": 16 << 20})
    start_sanitize(daemon)
    running = sanitizes(daemon)
    assert len(running) == 1 and running[0]["state"] == "running" and running[0]["object"] == "lun:vol", running
    assert running[0]["actor"].startswith("iqn."), running
    path = f"/operations/{running[0]['id']}"
    daemon.rest.call("DELETE", path, expect=409)
    wait.until(lambda: 0 < daemon.rest.get(path).json["progress_percent"] < 100, "some progress")
    assert settled(daemon) == IN_PROGRESS
    wait.until(lambda: daemon.rest.get(path).json["state"] == "succeeded", "its end", 30 * env.slow)
    assert settled(daemon) is None
    assert daemon.rest.get(path).json["progress_percent"] == 100
    assert daemon.rest.call("DELETE", path, expect=409).code == "operation-ended"


@test()
def a_sanitize_goes_on_after_a_killed_worker_a_restart_and_a_crash(env):
    daemon = env.daemon()
    daemon.serve("vol", 64 << 20, target_object_size_bytes=16 << 20)
    daemon.rest.patch("/settings", {"sanitize_bytes_per_s": 12 << 20})
    start_sanitize(daemon)
    daemon.wait_for_new("worker0", daemon.kill("worker0"))
    assert settled(daemon) == IN_PROGRESS
    daemon.restart()
    assert settled(daemon) == IN_PROGRESS
    daemon.crash()
    daemon.start()
    assert settled(daemon) == IN_PROGRESS
    wait.until(lambda: sanitizes(daemon)[0]["state"] == "succeeded", "its end", 60 * env.slow)
    assert settled(daemon) is None
    block = (PATTERN * 171)[:512]
    for file in (daemon.state / "store").iterdir():
        content = file.read_bytes()
        assert content == block * (len(content) // 512), file


@test(quick=True)
def a_block_erase_of_a_thick_lun_keeps_its_space(env):
    daemon = env.daemon()
    daemon.serve("vol", 32 << 20, thin=False)
    start_sanitize(daemon)
    wait.until(lambda: sanitizes(daemon)[0]["state"] == "succeeded", "the pattern is written", 30 * env.slow)
    files = list((daemon.state / "store").iterdir())
    allocated = [file.stat().st_blocks for file in files]
    connection = Connection(daemon).login().clear_attentions()
    connection.command([0x48, BLOCK_ERASE, 0, 0, 0, 0, 0, 0, 0, 0])
    assert connection.answer().status == 0
    connection.close()
    for file in files:
        assert not any(file.read_bytes()), file
    assert sum(allocated) >= 32 << 11 and [file.stat().st_blocks for file in files] >= allocated
