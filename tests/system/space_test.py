"""A thin LUN whose store runs short of space, or is full: initiators, events, metrics and health tell."""
from harness import wait
from harness.events import EventStream
from harness.host import GOOD, Host
from harness.registry import test

THRESHOLD_REACHED = (6, 0x3807)
SPACE_ALLOCATION_FAILED = (7, 0x2707)
MIB = 1 << 20


def sense(host):
    answer = host.do(bytes(6))
    return (answer.key, answer.asc) if answer.status else None


def metrics(daemon):
    headers = {"Authorization": f"Bearer {daemon.rest.token()}"}
    return daemon.rest.raw("GET", "/metrics", headers=headers).text


def reasons(daemon):
    """{severity: detail} of what health says about the LUN."""
    return {r["severity"]: r["detail"] for r in daemon.health()["reasons"] if r["object"] == "lun:vol"}


@test()
def a_threshold_that_is_crossed_is_told_to_initiators_and_shown(env):
    daemon = env.daemon()
    daemon.serve("vol", 16 * MIB)
    with Host(daemon, "thin") as host:
        assert 'lunette_lun_space_short{lun="vol"} 0' in metrics(daemon), metrics(daemon)
        assert reasons(daemon) == {}
        daemon.rest.patch("/luns/vol", {"space_threshold_percent": 99})  # no file system is that empty
        found = []
        wait.until(lambda: found.append(sense(host)) or THRESHOLD_REACHED in found, "the unit attention", 30 * env.slow)
        assert sense(host) is None, "it is told once"
    wait.until(lambda: 'lunette_lun_space_short{lun="vol"} 1' in metrics(daemon), "the metric", 10 * env.slow)
    assert list(reasons(daemon)) == ["warning"], reasons(daemon)
    daemon.rest.patch("/luns/vol", {"space_threshold_percent": 0})
    wait.until(lambda: 'lunette_lun_space_short{lun="vol"} 0' in metrics(daemon), "the metric goes back", 30 * env.slow)
    assert reasons(daemon) == {}


def small_store(env):
    daemon = env.daemon()
    daemon.rest.put("/stores/small", {"kind": "memory", "params": {"limit_bytes": MIB}})
    daemon.serve("vol", 16 * MIB, store="small")
    return daemon


@test()
def a_full_store_is_told(env):
    daemon = small_store(env)
    stream = EventStream(daemon)
    with Host(daemon, "thin") as host:
        answers = [host.write(lba, 0x77, 64) for lba in range(0, 8192, 64)]
        assert answers[0].status == GOOD
        assert (answers[-1].key, answers[-1].asc) == SPACE_ALLOCATION_FAILED, answers[-1]
        assert host.read(0, 64).data == b"\x77" * 32768
        wait.until(lambda: list(reasons(daemon)) == ["error"], "health says so", 10 * env.slow)
        assert 'lunette_lun_store_full{lun="vol"} 1' in metrics(daemon), metrics(daemon)
        assert host.write(8000, 0x77).status != GOOD
        assert host.write(0, 0x11, 64).status == GOOD, "what is allocated can be written"
    told = wait.until(lambda: stream.with_text("no space left"), "the event")
    assert told["event"] == "store-full" and "lun:vol" in told["data"], told
    stream.close()
    assert daemon.log().count("store full, writes fail lun=vol") == 1


@test(timeout_s=180, nightly=True)
def a_full_store_is_told_until_it_has_not_been_in_the_way_for_a_minute(env):
    daemon = small_store(env)
    with Host(daemon, "thin") as host:
        assert any(host.write(lba, 0x77, 64).status != GOOD for lba in range(0, 8192, 64))
    wait.until(lambda: list(reasons(daemon)) == ["error"], "health says so", 10 * env.slow)
    wait.until(lambda: reasons(daemon) == {}, "health forgets it", 90 * env.slow)
    assert 'lunette_lun_store_full{lun="vol"} 0' in metrics(daemon)
