"""What sg3-utils asks of a disk, through the kernel: discovery pages, thin provisioning, compare and write, reservations, resets."""
import re

from harness.registry import test
from machine.linux import ADDRESSES

TARGET = "iqn.2026-11.io.lunette:commands"
OTHER = "iqn.2026-11.io.lunette:other"
RESERVATION_CONFLICT = 24  # exit statuses of sg3-utils
MISCOMPARE = 14
KEYS = ("0xa1", "0xb2")
WRITE_EXCLUSIVE = 1
# Pages that every one of our LUNs has, as `sg_vpd -p` calls them.
PAGES = ("sv", "sn", "di", "ei", "bl", "bdc", "lbpv")


def same(env, disk, at, blocks, byte):
    """True when these blocks hold nothing but a byte (two hexadecimal digits)."""
    shown = env.guest.run(f"dd if={disk} bs=512 skip={at} count={blocks} iflag=direct status=none | od -An -v -tx1 | tr -d ' \\n'").strip()
    return shown == byte * (512 * blocks)


def fill(env, disk, at, blocks, byte):
    env.guest.run(f"head -c {512 * blocks} /dev/zero | tr '\\000' '\\{int(byte, 16):03o}' >/run/filled\n"
                  f"dd if=/run/filled of={disk} bs={512 * blocks} seek={at * 512} oflag=direct,seek_bytes iflag=fullblock status=none")


@test(timeout_s=300)
def every_page_that_is_listed_can_be_read(env):
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    disk = env.attach(TARGET)
    lun = daemon.rest.get("/luns/vol").json
    listed = re.findall(r"0x([0-9a-f]{2})\b", env.guest.run(f"sg_vpd -l -p sv {disk}"))
    assert listed, "no page is listed"
    shown = env.guest.run("\n".join(["set -e"] + [f"sg_vpd -p 0x{page} {disk}" for page in listed] +
                                    [f"sg_vpd -p {page} {disk}" for page in PAGES] +
                                    [f"sg_inq {disk}", f"sg_modes -a {disk}", f"sg_readcap -16 {disk}", f"sg_luns {disk}",
                                     f"sg_logs -a {disk}", f"sg_opcodes {disk}", f"sg_rtpg -d {disk}", f"sg_turs {disk}",
                                     f"sg_requests {disk}", f"sg_get_lba_status --lba=0 {disk}", f"sg_verify -c 8 {disk}",
                                     f"sg_sync {disk}"]), timeout_s=120)
    assert lun["serial"] in shown and lun["naa"] in shown, shown


@test(timeout_s=300)
def unmap_write_same_and_compare_and_write_do_what_they_say(env):
    env.may_lose_paths = True  # a miscompare is an error of the medium to the kernel
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    disk = env.attach(TARGET)
    fill(env, disk, 0, 64, "5a")
    env.guest.run(f"sg_unmap --lba=8 --num=16 {disk}")
    assert same(env, disk, 8, 16, "00") and same(env, disk, 0, 8, "5a") and same(env, disk, 24, 8, "5a")
    env.guest.run(f"sg_write_same --16 --lba=8 --num=16 --ff {disk}")
    assert same(env, disk, 8, 16, "ff")
    env.guest.run(f"sg_write_same --16 --unmap --lba=16 --num=8 {disk}")
    assert same(env, disk, 16, 8, "00") and same(env, disk, 8, 8, "ff")
    compare = f"(head -c 512 /dev/zero | tr '\\000' '\\132'; head -c 512 /dev/urandom) >/run/caw; " \
              f"sg_compare_and_write --lba=@lba@ --num=1 --in=/run/caw {disk}"
    env.guest.run(compare.replace("@lba@", "2"))
    env.guest.run(f"cmp <(dd if={disk} bs=512 skip=2 count=1 iflag=direct status=none) <(tail -c 512 /run/caw)")
    refused = env.guest.run(compare.replace("@lba@", "8"), check=False)
    assert refused.status == MISCOMPARE, refused
    assert same(env, disk, 8, 1, "ff")


@test(timeout_s=300)
def a_reservation_of_one_path_refuses_the_other_until_it_is_preempted(env):
    env.may_lose_paths = True  # the kernel reports the conflict as an I/O error
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET, paths=2)
    env.discover()
    env.login(TARGET)
    one, two = env.disks(*((TARGET, 0, address) for address in ADDRESSES))

    def out(disk, words, **more):
        return env.guest.run(f"sg_persist -n -o {words} {disk}", **more)

    out(one, f"-G -S {KEYS[0]}")
    out(one, f"-R -K {KEYS[0]} -T {WRITE_EXCLUSIVE}")
    write = f"dd if=/dev/zero of={two} bs=4096 count=1 oflag=direct status=none"
    assert env.guest.run(write, check=False).status != 0, "a write against a reservation"
    assert env.guest.run(f"sg_raw -s 512 -i /dev/zero {two} 2a 00 00 00 00 00 00 00 01 00", check=False).status == RESERVATION_CONFLICT
    out(two, f"-G -S {KEYS[1]}")
    env.guest.run("udevadm settle")  # what looks at the first disk because it was closed would take the unit attention
    out(two, f"-A -K {KEYS[1]} -S {KEYS[0]} -T {WRITE_EXCLUSIVE}")
    env.guest.run(write)
    shown = env.guest.run(f"sg_persist -n -s {two}")
    assert KEYS[1] in shown and KEYS[0] not in shown, shown
    out(two, f"-C -K {KEYS[1]}")
    assert "Registrations preempted" in env.guest.run(f"sg_persist -n -k {one}", check=False).output, "no unit attention"
    assert "no registered reservation keys" in env.guest.run(f"sg_persist -n -k {one}").lower()


@test(timeout_s=300)
def resets_end_nothing_but_what_was_running(env):
    env.may_lose_paths = True
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    disk = env.attach(TARGET)
    finish = env.guest.start_command(f"{env.tool('vm/verify_disk')} --threads 4 --extent 65536 {disk}", timeout_s=150)
    for kind in ("--device", "--target", "--device"):
        env.guest.run(f"sg_reset {kind} {disk}", timeout_s=60)
        env.wait_in_guest(f"sg_turs {disk}")
    env.guest.run("pkill verify_disk")
    env.verdict(finish())


@test(timeout_s=300)
def extended_copy_moves_blocks_between_two_luns(env):
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    env.serve(daemon, "second", TARGET, number=1)
    env.discover()
    env.login(TARGET)
    one, two = env.disks((TARGET, 0, ADDRESSES[0]), (TARGET, 1, ADDRESSES[0]))
    env.guest.run(f"dd if=/dev/urandom of={one} bs=1M count=4 oflag=direct status=none\n"
                  f"sg_xcopy if={one} of={two} bs=512 count=8192 --verbose", timeout_s=120)
    env.guest.run(f"cmp <(dd if={one} bs=1M count=4 iflag=direct status=none) <(dd if={two} bs=1M count=4 iflag=direct status=none)")


@test(timeout_s=300)
def sanitize_leaves_nothing_behind(env):
    env.may_lose_paths = True
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET, size_bytes=8 << 20)
    disk = env.attach(TARGET)
    fill(env, disk, 0, 64, "5a")
    env.guest.run(f"sg_sanitize --block --quick --wait {disk}", timeout_s=120)
    assert same(env, disk, 0, 64, "00")
