"""Crash consistency: ext4 over dm-log-writes, replayed up to each moment that orders writes; our daemon killed on the way."""
from harness import wait
from harness.registry import test
from machine.linux import ADDRESSES

TARGET = "iqn.2026-11.io.lunette:log"
DATA_BYTES, LOG_BYTES = 24 << 20, 192 << 20
ROUNDS = 4
MOMENTS = 8  # flushes and FUA writes replayed, evenly spread; every mark besides
WORK = """set -e
cp -r /usr/share/zoneinfo/Europe /run/log/round{n}; dd if=/dev/urandom of=/run/log/random{n} bs=64k count=12 status=none
rm -rf /run/log/round{before}
sync; (cd /run/log && find . -type f -name '*andom*' -o -path './round{n}/*' -type f | sort | xargs md5sum) >/run/sums{n}
dmsetup message log 0 mark round{n}"""


def moments(listed):
    """[(entries to replay, round whose files must be there by then or 0)] from the output of `replay_writes --list`."""
    marks, orders, reached = [], [], 0
    for line in listed.splitlines():
        number, kind, *words = line.split()
        if kind == "mark" and words[0].startswith("round"):
            reached = int(words[0][len("round"):])
            marks.append((int(number), reached))
        elif reached or kind == "mark":
            orders.append((int(number), 0))
    step = max(1, len(orders) // MOMENTS)
    return sorted(marks + orders[::step])


@test(timeout_s=600)
def at_every_flush_ext4_could_have_lost_power_and_kept_what_was_synced(env):
    env.may_lose_paths = True
    daemon = env.daemon()
    for number, size in enumerate((DATA_BYTES, LOG_BYTES, DATA_BYTES)):
        env.serve(daemon, f"vol{number}", TARGET, number=number, size_bytes=size)
    env.discover()
    env.login(TARGET)
    data, log, again = env.disks(*((TARGET, number, ADDRESSES[0]) for number in range(3)))
    env.guest.run(f"set -e; modprobe dm-log-writes; mkdir -p /run/log\n"
                  f"dmsetup create log --table '0 {DATA_BYTES >> 9} log-writes {data} {log}'\n"
                  "mkfs.ext4 -q -E nodiscard /dev/mapper/log; mount /dev/mapper/log /run/log; dmsetup message log 0 mark mounted",
                  timeout_s=120)
    for number in range(1, ROUNDS + 1):
        env.guest.run(WORK.format(n=number, before=number - 1), timeout_s=120)
        if number == ROUNDS // 2:
            daemon.crash()
            daemon.start()
            wait.until(lambda: daemon.rest.get("/sessions").json["items"], "the guest is back", 60 * env.slow)
    env.guest.run("set -e; umount /run/log; dmsetup remove log", timeout_s=120)
    replay = env.tool("vm/replay_writes")
    chosen = moments(env.guest.run(f"{replay} --list {log}"))
    assert [reached for _, reached in chosen if reached] == list(range(1, ROUNDS + 1)), chosen
    for count, reached in chosen:
        files = f"mount {again} /run/log; (cd /run/log; md5sum --quiet -c /run/sums{reached}); umount /run/log" if reached else ""
        env.guest.run(f"set -e; blkdiscard {again}; {replay} {log} {again} {count}; fsck.ext4 -p {again} || [ $? -le 1 ]\n"
                      f"fsck.ext4 -fn {again}\n{files}", timeout_s=120)
    env.guest.run(f"set -e; blkdiscard {again}; {replay} {log} {again}; cmp {data} {again}", timeout_s=120)
    env.note(f"{len(chosen)} moments")
