"""dm-multipath over two portals, with the configuration that README.md recommends."""
import re

from harness.registry import test
from harness.rest import quote
from machine.linux import ADDRESSES

TARGET = "iqn.2026-11.io.lunette:paths"
README_BLOCK = re.compile(r"```\n( *# /etc/multipath\.conf.*?) *```", re.S)
KEY = "0x123abc"


def recommended(env):
    """The multipath.conf in README.md."""
    return README_BLOCK.search((env.programs.root / "README.md").read_text()).group(1)


def attach(env, **lun):
    """A daemon, a LUN by two portals with a tag each, multipathd; (daemon, name of the map)."""
    daemon = env.daemon()
    daemon.rest.patch("/portals/default2", {"tag": 2})
    env.serve(daemon, "vol", TARGET, paths=2, **lun)
    # Paths that come and go within a test: probe each second. What is recommended follows and is not touched.
    config = recommended(env).replace("defaults {\n", "defaults {\npolling_interval 1\nmax_polling_interval 1\n", 1)
    env.guest.run(f"set -e\ncat >/etc/multipath.conf <<'end'\n{config}end\nmodprobe -a dm-multipath scsi_dh_alua; multipathd")
    env.discover()
    env.login(TARGET)
    env.disks(*((TARGET, 0, address) for address in ADDRESSES))
    name = "3" + daemon.rest.get("/luns/vol").json["naa"]
    env.wait_in_guest(f"test -e /dev/mapper/{name}")
    wait_for_paths(env, active=2)
    return daemon, name


def wait_for_paths(env, active, state="active ready *running"):
    env.wait_in_guest(f"[ $(multipath -ll | grep -c '{state}') -eq {active} ]", 90)


@test(timeout_s=300)
def io_goes_on_by_the_other_path_while_a_portal_is_closed_and_the_path_returns(env):
    env.may_lose_paths = True
    daemon, name = attach(env)
    finish = env.guest.start_command(f"{env.tool('vm/verify_disk')} --threads 4 --extent 65536 /dev/mapper/{name}", timeout_s=240)
    portal = daemon.rest.get("/portals/default2").json
    daemon.rest.patch(f"/targets/{quote(TARGET)}", {"portals": ["default"]})
    daemon.rest.delete("/portals/default2")
    wait_for_paths(env, active=1)
    env.wait_in_guest("multipath -ll | grep -q 'failed faulty'", 90)
    daemon.rest.put("/portals/default2", {"address": portal["address"], "tag": portal["tag"]})
    daemon.rest.patch(f"/targets/{quote(TARGET)}", {"portals": ["default", "default2"]})
    wait_for_paths(env, active=2)
    env.guest.run("pkill verify_disk")
    report = env.verdict(finish())
    env.note(f"{report['operations']} operations, the longest took {report['longest_ms']} ms")


@test(timeout_s=300)
def a_lun_that_grows_grows_in_the_guest_under_a_mounted_file_system(env):
    daemon, name = attach(env, size_bytes=32 << 20)
    env.guest.run(f"set -e; mkfs.ext4 -q /dev/mapper/{name}; mkdir -p /run/grow; mount /dev/mapper/{name} /run/grow\n"
                  "dd if=/dev/urandom of=/run/grow/file bs=1M count=8 status=none; md5sum /run/grow/file >/run/sum")
    daemon.rest.patch("/luns/vol", {"size_bytes": 96 << 20})
    env.guest.run(f"set -e; iscsiadm -m session --rescan; multipathd resize map {name}", timeout_s=120)
    assert env.guest.run(f"blockdev --getsize64 /dev/mapper/{name}").strip() == str(96 << 20)
    env.guest.run(f"set -e; resize2fs /dev/mapper/{name}\ndd if=/dev/zero of=/run/grow/more bs=1M count=40 status=none\n"
                  f"echo 3 >/proc/sys/vm/drop_caches; md5sum --quiet -c /run/sum; umount /run/grow; fsck.ext4 -fn /dev/mapper/{name}",
                  timeout_s=120)
    assert "apacity data has changed" in env.kernel_says() or "detected capacity change" in env.kernel_says()


@test(timeout_s=300)
def priorities_follow_the_states_of_the_target_port_groups(env):
    env.may_lose_paths = True
    daemon, name = attach(env)
    assert "hwhandler='1 alua'" in env.guest.run("multipath -ll"), "no ALUA"
    env.wait_in_guest("[ $(multipath -ll | grep -c 'prio=50') -ge 1 ]")
    path = f"/targets/{quote(TARGET)}"
    for state, shown in (("active_nonoptimized", "prio=10"), ("standby", "prio=1 ")):
        daemon.rest.patch(path, {"port_groups": {"2": {"state": state}}})
        env.wait_in_guest(f"multipath -ll | grep -q '{shown}'", 90)
        env.verified([f"/dev/mapper/{name}"], "--threads", 2, "--operations", 30)
    daemon.rest.patch(path, {"port_groups": None})
    env.wait_in_guest("[ $(multipath -ll | grep -c 'prio=50') -ge 1 ] && ! multipath -ll | grep -qE 'prio=10?( |$)'", 90)


@test(timeout_s=300)
def mpathpersist_registers_reserves_and_preempts_over_all_paths(env):
    daemon, name = attach(env)
    disk = f"/dev/mapper/{name}"

    def out(words):
        return env.guest.run(f"mpathpersist --out {words} {disk}", timeout_s=120)

    out(f"--register --param-sark={KEY}")
    keys = env.guest.run(f"mpathpersist --in -k {disk}")
    assert keys.count(KEY) == 2, keys  # one registration for each path
    out(f"--reserve --param-rk={KEY} --prout-type=5")
    assert "Write Exclusive, registrants only" in env.guest.run(f"mpathpersist --in -r {disk}")
    env.verified([disk], "--threads", 2, "--operations", 20)
    old = daemon.kill("worker0")
    env.may_lose_paths = True
    daemon.wait_for_new("worker0", old, 20)
    wait_for_paths(env, active=2)
    assert "Write Exclusive, registrants only" in env.guest.run(f"mpathpersist --in -r {disk}")
    out(f"--release --param-rk={KEY} --prout-type=5")
    out(f"--register --param-rk={KEY} --param-sark=0")
    assert KEY not in env.guest.run(f"mpathpersist --in -k {disk}")
