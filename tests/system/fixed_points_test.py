"""What others rely on, used exactly as the README shows it: curl, the options, the token file, the ready line."""
import json
import re
import socket
import stat
import subprocess

from harness import process
from harness.daemon import TARGET
from harness.initiator import iscsi_ls, qemu_io
from harness.registry import test


def curl(env, daemon, method, path, body=None):
    """curl as a person would type it; (status, parsed body)."""
    words = ["curl", "-sS", "-m", "10", "-X", method, "-H", f"Authorization: Bearer {daemon.token()}", "-w", "\n%{http_code}",
             f"http://127.0.0.1:{daemon.http_port}/api/v1{path}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text, _, status = env.run(*words).stdout.rpartition("\n")
    return int(status), json.loads(text) if text else None


@test(quick=True)
def the_ready_line_comes_when_rest_and_portal_answer(env):
    daemon = env.daemon()
    assert daemon.lines[0].startswith("ready"), daemon.lines
    assert daemon.rest_answers()
    with_portal = env.run("iscsi-ls", f"iscsi://{daemon.portal()}", check=False, timeout_s=10)
    assert with_portal.returncode == 0, with_portal.stderr
    assert len([line for line in daemon.lines if line.startswith("ready")]) == 1


@test(quick=True)
def the_first_token_is_in_a_file_only_its_owner_reads(env):
    daemon = env.daemon()
    path = daemon.state / "admin.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, oct(path.stat().st_mode)
    assert stat.S_IMODE(daemon.state.stat().st_mode) & 0o077 == 0, "others may look into the state directory"
    assert re.fullmatch(r"\S{20,}\n?", path.read_text()), "the token does not look like one"
    assert daemon.token() not in daemon.log(), "the token is in the log"


@test(quick=True)
def three_puts_are_all_it_takes_to_serve_a_lun(env):
    daemon = env.daemon()
    for path, body in (("/luns/vol1", {"size_bytes": 1073741824}), (f"/targets/{TARGET}", {}),
                       (f"/targets/{TARGET}/luns/0", {"lun": "vol1"})):
        status, answer = curl(env, daemon, "PUT", path, body)
        assert status == 201, (path, status, answer)
    shown = iscsi_ls(env, f"iscsi://{daemon.portal()}", "-s")
    assert TARGET in shown and re.search(r"Lun:0 .*Size:(1G|1023M)", shown), shown


@test(quick=True)
def the_same_puts_again_change_nothing(env):
    daemon = env.daemon()
    daemon.serve("vol1")
    before = daemon.rest.get("/luns/vol1")
    again = daemon.rest.put("/luns/vol1", {"size_bytes": 64 << 20}, headers={"If-Match": before.etag}, expect=200)
    assert again.json["id"] == before.json["id"] and again.json["serial"] == before.json["serial"]


@test(quick=True)
def memory_and_null_stores_are_named_in_the_body_of_a_lun(env):
    daemon = env.daemon()
    for number, store in enumerate(("memory", "null")):
        url = daemon.serve(f"vol-{store}", store=store, number=number)
        qemu_io(env, url, ["write -P 7 0 64k"] + (["read -P 7 0 64k"] if store == "memory" else ["read 0 64k"]))
    shown = iscsi_ls(env, f"iscsi://{daemon.portal()}", "-s")
    assert "Lun:0" in shown and "Lun:1" in shown, shown


@test(quick=True)
def block_size_read_only_thin_and_object_size_are_taken(env):
    daemon = env.daemon()
    daemon.serve("vol4k", size_bytes=96 << 20, block_size=4096, thin=False, target_object_size_bytes=32 << 20)
    lun = daemon.rest.get("/luns/vol4k").json
    assert (lun["block_size"], lun["thin"]) == (4096, False), lun
    objects = daemon.rest.get("/luns/vol4k/map").json["objects"]
    assert len(objects) == 3, objects
    url = daemon.serve("ro", read_only=True, number=1)
    refused = qemu_io(env, url, ["write -P 1 0 4k"], check=False)
    assert "write protected" in refused.stdout + refused.stderr, refused


@test(quick=True)
def an_unknown_option_is_refused_with_one_line(env):
    done = env.run(env.programs.daemon, "--no-such-option", check=False)
    assert done.returncode != 0 and "no-such-option" in done.stderr, done


@test(quick=True)
def several_portals_of_both_families_answer(env):
    portals = [f"127.0.0.1:{process.free_port()}", f"127.0.0.1:{process.free_port()}"]
    if process.have_ipv6():
        portals.append(f"[::1]:{process.free_port(socket.AF_INET6)}")
    daemon = env.daemon(portals=portals)
    names = ["default"] + [f"default{n}" for n in range(2, len(portals) + 1)]
    daemon.serve("vol1", target_body={"portals": names})
    for portal in portals:
        shown = iscsi_ls(env, f"iscsi://{portal}", "-s")
        assert TARGET in shown and "Lun:0" in shown, (portal, shown)
    listed = iscsi_ls(env, f"iscsi://{portals[0]}")
    assert "0.0.0.0" not in listed and "[::]" not in listed, listed


@test(quick=True)
def version_and_help_say_what_they_should(env):
    version = (env.programs.root / "VERSION").read_text().strip()
    assert version in env.run(env.programs.daemon, "--version").stdout
    assert "--state" in env.run(env.programs.daemon, "--help").stdout


@test(quick=True)
def curl_without_a_token_is_refused(env):
    daemon = env.daemon()
    for path in ("/luns", "/targets", "/sessions", "/config", "/tokens"):
        status = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://127.0.0.1:{daemon.http_port}/api/v1{path}"], capture_output=True, text=True,
                                check=True).stdout
        assert status == "401", (path, status)
