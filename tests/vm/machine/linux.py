"""A test's world with Linux's own initiator in it: lunetted on this host, open-iscsi and its friends in the guest.

The guest is shared by the tests of a run; each test has daemons of its own. When a test ends, the guest logs out and forgets
everything, and its kernel log must be free of what only a target's mistake explains.
"""
import collections
import contextlib
import json
import re
import shlex

from harness.environment import Environment
from harness.registry import Skip

from .image import Missing
from .qemu import Guest

ADDRESSES = ("10.1.0.1", "10.1.0.2")  # on this host, in the network namespace of the run
PORT = 3260
INITIATOR = "iqn.2026-11.io.lunette.test:guest"
DISK_S = 60

# How the guest prints the end of a connection: 1000 + enum iscsi_err of the kernel's iscsi_if.h.
CONNECTION_ERROR = re.compile(r"detected conn error \((\d+)\)")
OURS = {1: "DATASN", 2: "DATA_OFFSET", 3: "MAX_CMDSN", 4: "EXP_CMDSN", 5: "BAD_OPCODE", 6: "DATALEN", 7: "AHSLEN", 8: "PROTO",
        9: "LUN", 10: "BAD_ITT", 12: "R2TSN", 14: "HDR_DGST", 15: "DATA_DGST", 17: "NO_SCSI_CMD"}
# Never right, whatever the test does.
BROKEN = re.compile(r"EXT4-fs (error|warning)|XFS .*([Cc]orrupt|[Ii]nternal error)|kernel BUG|Oops|general protection|"
                    r"does not match SCSI CDB Length|Got CHECK_CONDITION but invalid data buffer size|hung_task|"
                    r"blocked for more than")
# Wrong unless the test says that it breaks paths or asks for errors.
UNEXPECTED = re.compile(r"I/O error|rejecting I/O to offline|Unrecovered|Medium Error|Hardware Error|device offlined|"
                        r"session recovery timed out|iscsi_eh|reset")

# What sysfs shows of a session and its connection, in the kernel's words; also of paths that end in the name of a disk.
SESSION_ATTRIBUTES = ("/sys/class/iscsi_session/session*/{targetname,initial_r2t,immediate_data,first_burst_len,max_burst_len,"
                      "max_outstanding_r2t} /sys/class/iscsi_connection/connection*/{header_digest,data_digest,max_recv_dlength}")
SESSION_ATTRIBUTE = re.compile(r"/(?:session|connection)(\d+)\b.*/(\w+):(.*)$")

CONFIGURE = f"""set -e
modprobe iscsi_tcp
echo InitiatorName={INITIATOR} >/etc/iscsi/initiatorname.iscsi
rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets
mkdir -p /run/lock/iscsi
cat >>/etc/iscsi/iscsid.conf <<end
node.conn[0].timeo.login_timeout = 60
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 30
end
iscsid
"""
FORGET = """pkill verify_disk
umount -a -t ext4,xfs
pkill -x multipathd && while pgrep -x multipathd; do sleep 0.1; done
dmsetup remove_all
iscsiadm -m node -u; iscsiadm -m session -u
rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets /etc/multipath /etc/multipath.conf
udevadm settle
iscsiadm -m session"""
NO_SESSIONS = 21  # exit status of iscsiadm (ISCSI_ERR_NO_OBJS_FOUND)


class Machine:
    """The guest of a run: booted when the first test asks for it, and again when it has died."""

    def __init__(self, scratch, slow):
        self.scratch, self.slow = scratch, slow
        self.guest = None
        self.boots = 0

    def running(self):
        if self.guest is None or not self.guest.alive:
            self.stop()
            self.boots += 1
            self.guest = Guest(self.scratch / f"guest{self.boots}", self.slow)
            try:
                self.guest.start()
            except Missing as reason:
                raise Skip(str(reason)) from reason
            self.guest.run(CONFIGURE)
        return self.guest

    def stop(self):
        if self.guest is not None:
            self.guest.stop()


class Linux(Environment):
    """What a test gets: Environment, and `guest` with the functions below. may_lose_paths: connections break on purpose."""

    def __init__(self, programs, scratch_root, machine):
        super().__init__(programs, scratch_root)
        self.machine = machine
        self._guest, self.log_begins = None, 0
        self.may_lose_paths = False
        self.problems = []

    @property
    def guest(self):
        if self._guest is None:
            guest = self.machine.running()
            self._guest, self.log_begins = guest, len(guest.log())
        return self._guest

    # ------------------------------------------------------------ the target's side

    def daemon(self, start=True, state=None, **options):
        options.setdefault("portals", [f"{address}:{PORT}" for address in ADDRESSES])
        return super().daemon(start, state, **options)

    @staticmethod
    def serve(daemon, name, target, paths=1, size_bytes=64 << 20, number=0, **lun):
        """A LUN on an open target that is reachable by the first portal, or by both."""
        portals = ["default", "default2"][:paths]
        daemon.serve(name, size_bytes, target=target, number=number, target_body={"open": True, "portals": portals}, **lun)

    # ------------------------------------------------------------ the initiator's side

    def discover(self, address=ADDRESSES[0], check=True):
        """SendTargets: [(portal with tag, target)]."""
        output = self.guest.run(f"iscsiadm -m discovery -t sendtargets -p {address}:{PORT}", check=check)
        return [tuple(line.split()) for line in output.splitlines() if line[:1].isdigit()] if check else output

    def configure(self, settings):
        """Changes members of the node records of targets, {target: {member: value}}: of two lines of one name the last counts."""
        script = ["set -e", "shopt -s nullglob"]
        for target, members in settings.items():
            lines = shlex.join(f"{name} = {value}" for name, value in members.items())
            script.append(f"for record in /etc/iscsi/nodes/{target}/*,{PORT},*/*; do printf '%s\\n' {lines} >>$record; done")
        self.guest.run("\n".join(script))

    def login(self, target=None, check=True):
        """Logs in to a target by all portals in its records, or to all that was discovered."""
        return self.guest.run(f"iscsiadm -m node {f'-T {target}' if target else ''} --login", check=check, timeout_s=120)

    def logout(self, target):
        self.guest.run(f"iscsiadm -m node -T {target} --logout")

    def sessions(self, count):
        """What the kernel holds of its sessions, once so many have a disk: {target: {attribute: value}}, "disk" among them."""
        disks = "/sys/class/iscsi_session/session*/device/target*/*/block/*"
        self.wait_in_guest(f"[ $(echo {disks} | wc -w) = {count} ]", DISK_S)
        found = collections.defaultdict(dict)
        for line in self.guest.run(f"grep -Hs '' {SESSION_ATTRIBUTES}; printf '%s:\\n' {disks}").splitlines():
            number, name, value = SESSION_ATTRIBUTE.search(line).groups()
            found[number].update({name: value} if value else {"disk": f"/dev/{name}"})
        return {attributes["targetname"]: attributes for attributes in found.values()}

    def disks(self, *paths):
        """/dev/sdX of each (target, LUN number, address of the portal), once udev knows all of them."""
        links = " ".join(f"/dev/disk/by-path/ip-{address}:{PORT}-iscsi-{target}-lun-{number}" for target, number, address in paths)
        return self.wait_in_guest(f"readlink -e {links}", DISK_S).split()

    def disk(self, target, number=0, address=ADDRESSES[0]):
        return self.disks((target, number, address))[0]

    def wait_in_guest(self, condition, timeout_s=60):
        """Waits there until a command (one that ends) succeeds; its output."""
        done = self.guest.run(f"until {condition}; do sleep 0.1; done", check=False, timeout_s=timeout_s)
        if done.status != 0:
            raise AssertionError(f"not within {timeout_s} s: {condition}\n{done.output[-2000:]}")
        return self.guest.run(condition)

    def verified(self, devices, *options, timeout_s=300):
        """Random writes and reads on disks of the guest, every byte checked (verify_disk.c): its report."""
        done = self.guest.run(shlex.join([str(self.tool("vm/verify_disk")), *map(str, options), *devices]), check=False,
                              timeout_s=timeout_s)
        return self.verdict(done)

    @staticmethod
    def verdict(done):
        """The report of verify_disk; a wrong byte or an error fails the test."""
        assert done.status == 0, done
        return json.loads(done.output.splitlines()[-1])

    def attach(self, target, number=0):
        """Discovery, login, and the disk."""
        self.discover()
        self.login(target)
        return self.disk(target, number)

    @contextlib.contextmanager
    def without_udev(self):
        """For a test of very many disks: nobody else opens them as they come, and there are no links in /dev/disk."""
        self.guest.run("modprobe sd_mod && udevadm settle && udevadm control --exit", timeout_s=120)
        try:
            yield
        finally:
            self.guest.run("/lib/systemd/systemd-udevd --daemon")

    # ------------------------------------------------------------ the end

    def kernel_says(self):
        """What the guest's kernel has printed since the test began."""
        return self._guest.log()[self.log_begins:] if self._guest else ""

    def kernel_problems(self):
        """Lines of the kernel log that must not be there."""
        found = []
        for line in self.kernel_says().splitlines():
            error = CONNECTION_ERROR.search(line)
            code = int(error.group(1)) - 1000 if error else None
            if code in OURS:
                found.append(f"{line}: {OURS[code]}")
            elif BROKEN.search(line) or (not self.may_lose_paths and (error or UNEXPECTED.search(line))):
                found.append(line)
        return found

    def reports(self):
        return super().reports() + [f"the guest's kernel: {line}" for line in self.problems]

    def logs(self):
        return super().logs() + [("the guest's kernel log", self.kernel_says())]

    def close(self):
        try:
            if self._guest is not None:
                self.forget()
        finally:
            super().close()

    def forget(self):
        """The guest logs out of everything; one that does not is not used again."""
        left = self.guest.run(FORGET, check=False, timeout_s=60)
        if left.status != NO_SESSIONS:
            self.guest.stop()
            self.problems.append(f"sessions did not end: {left}")
        self.problems += self.kernel_problems()
