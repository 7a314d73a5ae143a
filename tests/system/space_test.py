"""A thin LUN whose store runs short of space: initiators, events and metrics tell."""
from harness import wait
from harness.iscsi import Connection
from harness.registry import test

THRESHOLD_REACHED = (6, 0x3807)


def sense(connection):
    connection.command([0] * 6)
    answer = connection.answer()
    return (answer.data[4] & 15, int.from_bytes(answer.data[14:16], "big")) if answer.status else None


def metrics(daemon):
    headers = {"Authorization": f"Bearer {daemon.rest.token()}"}
    return daemon.rest.raw("GET", "/metrics", headers=headers).text


@test()
def a_threshold_that_is_crossed_is_told_to_initiators_and_shown(env):
    daemon = env.daemon()
    daemon.serve("vol", 16 << 20)
    connection = Connection(daemon).login().clear_attentions()
    assert 'lunette_lun_space_short{lun="vol"} 0' in metrics(daemon), metrics(daemon)
    daemon.rest.patch("/luns/vol", {"space_threshold_percent": 99})  # no file system is that empty
    found = []
    wait.until(lambda: found.append(sense(connection)) or THRESHOLD_REACHED in found, "the unit attention", 30 * env.slow)
    assert sense(connection) is None, "it is told once"
    wait.until(lambda: 'lunette_lun_space_short{lun="vol"} 1' in metrics(daemon), "the metric", 10 * env.slow)
    daemon.rest.patch("/luns/vol", {"space_threshold_percent": 0})
    wait.until(lambda: 'lunette_lun_space_short{lun="vol"} 0' in metrics(daemon), "the metric goes back", 30 * env.slow)
    connection.close()
