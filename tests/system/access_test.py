"""Who may log in and what they see: CHAP, initiator lists and groups, LUN masking, redirects, portals."""
import re
import socket

from harness import process, wait
from harness.daemon import TARGET
from harness.initiator import INITIATOR, VerifyIo, iscsi_ls
from harness.registry import test
from harness.rest import quote

SECRET, OTHER_SECRET = "initiator-secret", "the-targets-secret"
PATH = f"/targets/{quote(TARGET)}"


def inquiry(env, url, initiator=INITIATOR):
    """iscsi-inq: True when it could log in and ask."""
    return env.run("iscsi-inq", "-i", initiator, url, check=False, timeout_s=20).returncode == 0


@test(quick=True)
def one_way_chap_admits_the_right_secret_only(env):
    daemon = env.daemon()
    daemon.serve("vol", target_body={"auth": {"chap": {"user": "alice", "secret": SECRET}}})
    assert inquiry(env, daemon.url(user=f"alice%{SECRET}"))
    assert not inquiry(env, daemon.url(user="alice%another-secret-12"))
    assert not inquiry(env, daemon.url(user=f"bob%{SECRET}"))
    assert not inquiry(env, daemon.url())
    log = daemon.log()
    assert SECRET not in log and "another-secret-12" not in log


@test(quick=True)
def mutual_chap_proves_the_target_too(env):
    daemon = env.daemon()
    daemon.serve("vol", target_body={"auth": {"chap": {"user": "alice", "secret": SECRET},
                                              "mutual": {"user": "target", "secret": OTHER_SECRET}}})
    url = daemon.url(user=f"alice%{SECRET}")
    assert inquiry(env, f"{url}?target_user=target&target_password={OTHER_SECRET}")
    assert not inquiry(env, f"{url}?target_user=target&target_password=not-the-right-one")
    done = VerifyIo(env, f"{url}?target_user=target&target_password={OTHER_SECRET}", "--operations", 100).result()
    assert done["errors"] == 0, done


@test(quick=True)
def equal_secrets_in_both_directions_are_refused(env):
    daemon = env.daemon()
    answer = daemon.rest.put(PATH, {"auth": {"chap": {"user": "a", "secret": SECRET},
                                             "mutual": {"user": "b", "secret": SECRET}}}, expect=422)
    assert answer.json["code"] == "validation-failed", answer
    assert SECRET not in answer.text


@test(quick=True)
def discovery_has_credentials_of_its_own(env):
    daemon = env.daemon()
    daemon.serve("vol")
    daemon.rest.patch("/settings", {"discovery_auth": {"chap": {"user": "finder", "secret": SECRET}}})
    assert iscsi_ls(env, f"iscsi://{daemon.portal()}", check=False).returncode != 0
    assert TARGET in iscsi_ls(env, f"iscsi://finder%{SECRET}@{daemon.portal()}")
    assert inquiry(env, daemon.url()), "sessions need no credentials of discovery"


@test(quick=True)
def only_named_initiators_find_and_use_a_target(env):
    daemon = env.daemon()
    daemon.serve("vol")
    friend, stranger = "iqn.2026-11.io.lunette.test:friend", "iqn.2026-11.io.lunette.test:stranger"
    daemon.rest.put(f"{PATH}/initiators/{quote(friend)}", {})
    assert inquiry(env, daemon.url(), friend) and not inquiry(env, daemon.url(), stranger)
    assert TARGET in iscsi_ls(env, f"iscsi://{daemon.portal()}", initiator=friend)
    assert TARGET not in iscsi_ls(env, f"iscsi://{daemon.portal()}", initiator=stranger)


def luns_in(shown):
    """LUN numbers in the output of iscsi-ls, which prints them as addressed: 4000h is flat addressing (SAM-5)."""
    return [int(number) & 0x3FFF for number in re.findall(r"Lun:(\d+)", shown)]


@test(quick=True)
def an_initiator_sees_only_its_luns(env):
    daemon = env.daemon()
    for number in (0, 1, 5, 300):
        daemon.serve(f"vol{number}", 8 << 20, number=number)
    one, member = "iqn.2026-11.io.lunette.test:one", "iqn.2026-11.io.lunette.test:member"
    daemon.rest.put("/initiator-groups/esx", {"initiators": [member]})
    daemon.rest.put(f"{PATH}/initiators/{quote(one)}", {"luns": [1]})
    daemon.rest.put(f"{PATH}/groups/esx", {"luns": [5, 300], "read_only": True})
    portal = f"iscsi://{daemon.portal()}"
    shown = iscsi_ls(env, portal, "-s", initiator=one)
    assert luns_in(shown) == [1], shown
    shown = iscsi_ls(env, portal, "-s", initiator=member)
    assert luns_in(shown) == [5, 300], shown
    image = f"driver=iscsi,transport=tcp,portal={daemon.portal()},target={TARGET},lun=5,initiator-name={member}"
    done = env.run("qemu-io", "--image-opts", "-c", "write 0 4k", image, check=False)
    assert "write protected" in done.stdout + done.stderr, done


@test(quick=True)
def addresses_outside_the_list_are_refused(env):
    daemon = env.daemon()
    daemon.serve("vol", target_body={"addresses": ["10.0.0.0/8"]})
    assert not inquiry(env, daemon.url())
    daemon.rest.patch(PATH, {"addresses": ["127.0.0.0/8"]})
    assert inquiry(env, daemon.url())


@test(quick=True)
def a_login_is_redirected_to_where_the_target_moved(env):
    here, there = env.daemon(), env.daemon()
    there.serve("vol", 32 << 20)
    here.rest.put(PATH, {"redirect": {"address": there.portal()}})
    assert VerifyIo(env, here.url(), "--operations", 200).result()["errors"] == 0
    assert len(there.rest.get("/luns").json["items"]) == 1


@test(quick=True)
def discovery_lists_the_portals_of_a_target_and_no_others(env):
    family = socket.AF_INET6 if process.have_ipv6() else socket.AF_INET
    second = f"[::1]:{process.free_port(family)}" if process.have_ipv6() else f"127.0.0.1:{process.free_port()}"
    daemon = env.daemon()
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.serve("vol", target_body={"portals": ["default", "second"]})
    daemon.serve("other", target="iqn.2026-11.io.lunette:t2")
    shown = iscsi_ls(env, f"iscsi://{daemon.portal()}")
    lines = {line.split()[0].removeprefix("Target:"): line for line in shown.splitlines() if line.startswith("Target:")}
    assert second not in lines["iqn.2026-11.io.lunette:t2"] and daemon.portal() in shown, shown
    assert TARGET in iscsi_ls(env, f"iscsi://{second}") and "t2" not in iscsi_ls(env, f"iscsi://{second}")


@test(quick=True)
def a_deleted_session_is_logged_out_and_comes_back(env):
    daemon = env.daemon()
    running = VerifyIo(env, daemon.serve("vol", 32 << 20))
    session = daemon.rest.get("/sessions").json["items"][0]
    daemon.rest.call("DELETE", f"/sessions/{quote(session['id'])}", headers={"If-Match": "*"}, expect=(202, 204))
    wait.until(lambda: [s["id"] for s in daemon.rest.get("/sessions").json["items"]] not in ([], [session["id"]]),
               "another session", 10 * env.slow)
    report = running.finish()
    assert report["reconnects"] >= 1, report


@test(quick=True)
def targets_of_all_workers_are_reached_through_any_connection(env):
    daemon = env.daemon(workers=3)
    for number in range(6):
        daemon.serve(f"vol{number}", 8 << 20, target=f"iqn.2026-11.io.lunette:t{number}")
    for number in range(6):
        for _ in range(4):
            assert inquiry(env, daemon.url(f"iqn.2026-11.io.lunette:t{number}"))


@test(quick=True)
def a_portal_that_gets_another_tag_goes_on_listening(env):
    """It was closed and opened again, which failed while others still held the old socket; the retry came a second later."""
    daemon = env.daemon()
    url = daemon.serve("vol")
    for tag in range(2, 12):
        daemon.rest.patch("/portals/default", {"tag": tag})
        assert inquiry(env, url)
        wait.until(lambda tag=tag: f":{daemon.portal().rpartition(':')[2]},{tag}" in iscsi_ls(env, f"iscsi://{daemon.portal()}"), "the new tag")
    assert "portal not served" not in daemon.log(), daemon.log()
