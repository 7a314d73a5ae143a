"""Wrong logins to a daemon with three workers: whichever accepts, the target may be another's (HANDOVER)."""
import iscsi_pdu as p
from initiator import NAME, Initiator, expect, read10
from world import Case

CLASS = "handover"
WORKERS, TARGETS = 3, [f"iqn.2026-11.io.lunette:spread{n}" for n in range(6)]
ROUNDS = 2


def make(world_class, env):
    world = world_class(env, workers=WORKERS)
    for number, target in enumerate(TARGETS):
        world.daemon.serve(f"spread{number}", 1 << 20, target=target, store="memory")
    return world


def text(target, *more):
    return p.pairs(f"InitiatorName={NAME}", "SessionType=Normal", f"TargetName={target}", *more)


def everywhere(what):
    """what(world, target) for each target, often enough that each worker accepts for each other."""
    def run(world):
        for _ in range(ROUNDS):
            for target in TARGETS:
                what(world, target)
    return run


def right(world, target):
    connection = world.full(target=target)
    expect(connection.outcome_of(read10(0, 8), read=4096), "good")
    connection.logout()


def goes_on_at_once(rest):
    """The first request, and bytes behind it before there is an answer."""
    def run(world, target):
        connection = world.connect()
        first = connection.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text(target)).encode()
        connection.send_or_closed(first + rest)
        connection.outcome(1.0)  # the answer to the first, or the end; what is behind it harms nobody
        connection.close()
    return run


def leaves_at_once(world, target):
    for _ in range(10):
        connection = Initiator(world)
        connection.send(connection.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text(target)))
        connection.reset()


def continued(world, target):
    """The target's name in a first request with C=1: it cannot be passed on as it came."""
    connection = world.connect()
    connection.send(connection.login_pdu(p.SECURITY, None, text(target), more=True))
    response = connection.login_response()
    if response.status:
        assert response.status == 0x0301, f"{response.status:#06x}"
        return
    response = connection.exchange(p.SECURITY, p.OPERATIONAL, b"AuthMethod=None\0")
    assert response.status in (0, 0x0301), f"{response.status:#06x}"


def named_late(world, target):
    """The target's name in the second request only."""
    connection = world.connect()
    connection.send(connection.login_pdu(p.SECURITY, None, p.pairs(f"InitiatorName={NAME}", "SessionType=Normal"), more=True))
    assert connection.login_response().status == 0
    response = connection.exchange(p.SECURITY, p.OPERATIONAL, p.pairs(f"TargetName={target}", "AuthMethod=None"))
    assert response.status in (0, 0x0301), f"{response.status:#06x}"


def wrong_text(world, target):
    connection = world.connect()
    connection.send(connection.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text(target, "MaxBurstLength=512", "MaxBurstLength=1024")))
    assert connection.login_response().status == 0x0200


def flood(world, target):
    """Many at a time for one worker."""
    storm = [Initiator(world) for _ in range(100)]
    for connection in storm:
        connection.send(connection.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text(target)))
    for connection in storm:
        assert connection.login_response().status in (0, 0x0301)


def cases():
    yield Case("B016", "right logins", everywhere(right))
    yield Case("B016", "bytes of chance behind the first request", everywhere(goes_on_at_once(bytes(range(48)))), lines=3)
    yield Case("B016", "a second request behind the first", everywhere(goes_on_at_once(bytes([0x43, 0x87]) + bytes(46))), lines=3)
    yield Case("B005", "RST behind the first request", everywhere(leaves_at_once))
    yield Case("B022", "a continued first request", everywhere(continued))
    yield Case("B022", "the target named late", everywhere(named_late))
    yield Case("B045", "a key twice", everywhere(wrong_text))
    yield Case("B010", "100 logins at a time", everywhere(flood))
