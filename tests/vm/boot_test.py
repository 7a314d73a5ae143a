"""QEMU itself boots a machine from one of our LUNs, through its own iSCSI client: BIOS, boot loader, kernel, and a write."""
import subprocess

from harness.registry import test
from machine import image

TARGET = "iqn.2026-11.io.lunette:boot"
SIZE_BYTES = 64 << 20
WRITTEN_AT = 48 << 20  # behind what the image needs
WRITTEN_BYTES = 1 << 20
MARKER = "booted-from-lunette"
MODULES = ("virtio_pci", "virtio_blk")
LOADER = """DEFAULT linux
LABEL linux
KERNEL vmlinuz
APPEND initrd=initrd console=ttyS0 quiet panic=-1
"""
INIT = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for module in /m/*.ko; do $b insmod $module; done
$b yes {MARKER} | $b dd of=/dev/vda bs=4096 count={WRITTEN_BYTES // 4096} seek={WRITTEN_AT // 4096} iflag=fullblock conv=fsync 2>/dev/null &&
	echo {MARKER}
$b poweroff -f
"""


def make_disk(scratch, release):
    """A FAT file system with boot loader, kernel and an initramfs of a few files; its path."""
    disk, initramfs = scratch / "disk", scratch / "initrd"
    loader = scratch / "syslinux.cfg"
    loader.write_text(LOADER)
    image.write_initramfs(initramfs, release, MODULES, INIT.encode())
    with open(disk, "wb") as empty:
        empty.truncate(WRITTEN_AT)
    subprocess.run(["mkfs.fat", "-F", "16", str(disk)], check=True, stdout=subprocess.DEVNULL)
    for source, name in ((f"/boot/vmlinuz-{release}", "vmlinuz"), (initramfs, "initrd"), (loader, "syslinux.cfg")):
        subprocess.run(["mcopy", "-i", str(disk), str(source), f"::{name}"], check=True)
    subprocess.run(["syslinux", "--install", str(disk)], check=True)
    return disk


@test(timeout_s=300)
def qemu_boots_a_machine_from_a_lun_and_it_writes_there(env):
    env.need("syslinux", "mcopy", "mkfs.fat", "qemu-img")
    release = image.kernel_release()
    disk = make_disk(env.scratch, release)
    daemon = env.daemon(portals=["127.0.0.1:3260"])
    url = daemon.serve("vol", SIZE_BYTES, target=TARGET)
    env.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", disk, url)
    console = env.scratch / "console"
    env.run(image.EMULATOR, "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
            "-drive", f"file={url},format=raw,if=virtio,cache=none", "-serial", f"file:{console}", timeout_s=200)
    assert MARKER in console.read_text(errors="replace"), console.read_text(errors="replace")[-3000:]
    copy = env.scratch / "copy"
    env.run("qemu-img", "convert", "-f", "raw", "-O", "raw", url, copy)
    content = copy.read_bytes()
    line = MARKER.encode() + b"\n"
    assert content[WRITTEN_AT:WRITTEN_AT + WRITTEN_BYTES] == (line * WRITTEN_BYTES)[:WRITTEN_BYTES]
    assert content[:WRITTEN_AT] == disk.read_bytes()
