"""File systems of the guest on our LUNs: made, filled, checked, trimmed; and I/O that goes on while our workers die."""
from harness import wait
from harness.registry import test

TARGET = "iqn.2026-11.io.lunette:files"
MAKE = {"ext4": "mkfs.ext4 -q", "xfs": "mkfs.xfs -q"}
CHECK = {"ext4": "fsck.ext4 -fn", "xfs": "xfs_repair -n"}
XFS_BYTES = 320 << 20  # mkfs.xfs refuses less than 300 MiB
# Some thousand small files and a few large ones: what every Debian has.
FILL = """cp -r /usr/lib/python3/dist-packages/yaml /usr/share/zoneinfo/Europe /usr/lib/x86_64-linux-gnu/perl-base {at}/
dd if=/dev/urandom of={at}/random bs=1M count=12 status=none
(cd {at} && find . -type f -not -name sums -exec md5sum {{}} + >/run/sums && cp /run/sums sums)"""
KILLS = 4


def allocated_bytes(daemon):
    """What the files of the daemon's LUNs occupy."""
    return sum(path.stat().st_blocks * 512 for path in daemon.state.rglob("*") if path.is_file())


def completed(env, disk):
    """Reads and writes that a disk of the guest has finished."""
    words = env.guest.run(f"cat /sys/block/{disk[5:]}/stat").split()
    return int(words[0]) + int(words[4])


def file_system_holds_its_files(env, kind):
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET, size_bytes=XFS_BYTES)
    disk = env.attach(TARGET)
    at = f"/run/{kind}"
    env.guest.run(f"set -e; mkdir {at}; {MAKE[kind]} {disk}; mount {disk} {at}\n{FILL.format(at=at)}\numount {at}", timeout_s=180)
    env.logout(TARGET)
    daemon.restart()
    env.login(TARGET)
    disk = env.disk(TARGET)
    env.guest.run(f"set -e; {CHECK[kind]} {disk}; mount {disk} {at}; cd {at}; md5sum --quiet -c sums; cmp sums /run/sums",
                  timeout_s=180)
    before = allocated_bytes(daemon)
    env.guest.run(f"set -e; rm -r {at}/random {at}/perl-base; sync; fstrim -v {at}; umount {at}; {CHECK[kind]} {disk}", timeout_s=180)
    after = allocated_bytes(daemon)
    env.note(f"{before >> 10} KiB allocated, {after >> 10} KiB after rm and fstrim")
    assert after < before - (8 << 20), (before, after)


@test(timeout_s=300)
def ext4_holds_its_files_over_a_restart_and_gives_back_what_it_trims(env):
    file_system_holds_its_files(env, "ext4")


@test(timeout_s=300)
def xfs_holds_its_files_over_a_restart_and_gives_back_what_it_trims(env):
    file_system_holds_its_files(env, "xfs")


@test(timeout_s=300)
def killed_workers_cost_the_guest_no_error_and_no_byte(env):
    env.may_lose_paths = True
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    disk = env.attach(TARGET)
    finish = env.guest.start_command(f"{env.tool('vm/verify_disk')} --threads 4 --extent 131072 {disk}", timeout_s=240)
    for _ in range(KILLS):
        done = completed(env, disk)
        env.wait_in_guest(f"[ $(awk '{{print $1 + $5}}' /sys/block/{disk[5:]}/stat) -ge {done + 40} ]", 60)
        old = daemon.kill("worker0")
        daemon.wait_for_new("worker0", old, 20)
        wait.until(lambda: daemon.rest.get("/sessions").json["items"], "the guest is back", 60 * env.slow)
    env.guest.run("pkill verify_disk")
    report = env.verdict(finish())
    env.note(f"{report['operations']} operations over {KILLS} kills, the longest took {report['longest_ms']} ms")
    assert env.kernel_says().count("detected conn error") >= KILLS, "the guest did not notice"
