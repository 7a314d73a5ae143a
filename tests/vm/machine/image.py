"""What the guest boots: Debian's kernel and a small initramfs (busybox and the modules that reach the host's root).

The guest's root is the host's, read-only over 9p, with a tmpfs over it: whatever is installed here is there, and nothing
that the guest does stays.
"""
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ("virtio_pci", "virtio_net", "virtio_console", "9pnet_virtio", "9p", "overlay")
EMULATOR = "qemu-system-x86_64"
BUSYBOX = pathlib.Path("/bin/busybox")


class Missing(Exception):
    """No guest can be started here; the reason."""


def kernel_release():
    """The newest kernel in /boot whose modules are installed."""
    found = [path.name.removeprefix("vmlinuz-") for path in pathlib.Path("/boot").glob("vmlinuz-*")]
    found = [release for release in found if pathlib.Path("/lib/modules", release, "modules.dep").exists()]
    if not found:
        raise Missing("no kernel with modules in /boot (Debian: linux-image-amd64)")
    return max(found, key=lambda release: [int(part) if part.isdigit() else 0 for part in release.replace(".", "-").split("-")])


def check():
    """Raises Missing when something that the guest needs is not installed."""
    for program, package in ((EMULATOR, "qemu-system-x86"), ("iscsid", "open-iscsi"), ("modprobe", "kmod")):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed (Debian: {package})")
    if not BUSYBOX.exists():
        raise Missing(f"{BUSYBOX} is not installed (Debian: busybox-static)")
    kernel_release()


def modules(release, names):
    """Paths of modules and of those that they need, in the order of loading."""
    paths = []
    for name in names:
        shown = subprocess.run(["modprobe", "-S", release, "--show-depends", name], capture_output=True, text=True, check=True)
        paths += [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("insmod ")]
    return list(dict.fromkeys(paths))


def entry(number, name, content, mode):
    """One member of a cpio archive in the format "newc" (Documentation/driver-api/early-userspace/buffer-format)."""
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def write_initramfs(path, release, names=MODULES, init=None):
    """Makes an initramfs: directories, busybox, modules as /m/NN-name.ko, and init (default: the one beside us)."""
    members = [(name, b"", 0o040755) for name in ("bin", "m", "proc", "sys", "dev", "host", "over", "root")]
    members.append(("bin/busybox", BUSYBOX.read_bytes(), 0o100755))
    members += [(f"m/{at:02}-{pathlib.Path(module).name}", pathlib.Path(module).read_bytes(), 0o100644)
                for at, module in enumerate(modules(release, names))]
    members.append(("init", init or (HERE / "init").read_bytes(), 0o100755))
    members.append(("TRAILER!!!", b"", 0))
    path.write_bytes(b"".join(entry(at, *member) for at, member in enumerate(members, 1)))
