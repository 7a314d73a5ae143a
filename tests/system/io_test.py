"""Every byte compared: QEMU's blkverify with a raw file beside each kind of LUN, and our own verified I/O."""
from harness.initiator import QEMU_READ_MAX, VerifyIo, qemu_io, random_patterns
from harness.registry import test

SIZE = 48 << 20


def compare_with_a_raw_file(env, url, block_size, seed, count):
    """Random patterns into the LUN and a raw file at once; reads are compared as they go, and the whole at the end."""
    raw = env.scratch / f"raw{seed}"
    with open(raw, "wb") as file:
        file.truncate(SIZE)
    qemu_io(env, f"blkverify:{raw}:{url}", random_patterns(seed, SIZE, block_size, count))
    compare_images(env, raw, url, block_size)


def compare_images(env, raw, url, block_size=512):
    """The whole of both, byte for byte."""
    if block_size == 512:
        same = env.run("qemu-img", "compare", "-f", "raw", "-F", "raw", raw, url, check=False, timeout_s=120)
        assert same.returncode == 0 and "identical" in same.stdout, same
        return
    reads = [f"read {at} {min(QEMU_READ_MAX, SIZE - at)}" for at in range(0, SIZE, QEMU_READ_MAX)]
    qemu_io(env, f"blkverify:{raw}:{url}", reads)


@test(quick=True)
def zeroes_and_discards_leave_what_they_leave_in_a_raw_file(env):
    daemon = env.daemon()
    for number, body in enumerate(({}, {"block_size": 4096, "target_object_size_bytes": 16 << 20}, {"store": "memory"})):
        url = daemon.serve(f"vol{number}", SIZE, number=number, **body)
        raw = env.scratch / f"zeroes{number}"
        with open(raw, "wb") as file:
            file.truncate(SIZE)
        commands = random_patterns(100 + number, SIZE, body.get("block_size", 512), 300, zeroes=True)
        for image in (raw, url):
            qemu_io(env, image, commands, "-d", "unmap")
        compare_images(env, raw, url, body.get("block_size", 512))


@test(quick=True)
def a_file_lun_reads_as_a_raw_file_does(env):
    url = env.daemon().serve("vol", SIZE, target_object_size_bytes=16 << 20)
    compare_with_a_raw_file(env, url, 512, 1, 400)


@test(quick=True)
def a_file_lun_of_4096_byte_blocks_reads_as_a_raw_file_does(env):
    url = env.daemon().serve("vol", SIZE, block_size=4096, target_object_size_bytes=16 << 20)
    compare_with_a_raw_file(env, url, 4096, 2, 400)


@test(quick=True)
def a_thick_file_lun_reads_as_a_raw_file_does(env):
    url = env.daemon().serve("vol", SIZE, thin=False)
    compare_with_a_raw_file(env, url, 512, 3, 200)


@test(quick=True)
def a_memory_lun_reads_as_a_raw_file_does(env):
    url = env.daemon().serve("vol", SIZE, store="memory")
    compare_with_a_raw_file(env, url, 512, 4, 400)


@test()
def a_memory_lun_of_4096_byte_blocks_reads_as_a_raw_file_does(env):
    url = env.daemon().serve("vol", SIZE, store="memory", block_size=4096)
    compare_with_a_raw_file(env, url, 4096, 5, 400)


@test(timeout_s=120)
def digests_change_no_byte(env):
    daemon = env.daemon()
    url = daemon.serve("vol", SIZE, target_body={"params": {"header_digest": "crc32c"}})
    compare_with_a_raw_file(env, url, 512, 6, 200)


@test(quick=True)
def verified_io_finds_nothing_wrong_at_any_queue_depth(env):
    daemon = env.daemon(reactors=2)
    for number, depth in enumerate((1, 8, 64)):
        url = daemon.serve(f"vol{number}", 32 << 20, number=number)
        report = VerifyIo(env, url, "--queue-depth", depth, "--operations", 3000).result()
        env.note(f"queue depth {depth}: {report['operations']} operations, longest gap {report['max_gap_ms']:.1f} ms")
        assert report["errors"] == 0 and report["reconnects"] == 0, report


@test(timeout_s=90)
def four_sessions_on_four_luns_do_not_mix(env):
    daemon = env.daemon(workers=2, reactors=2)
    urls = [daemon.serve(f"vol{n}", 32 << 20, target=f"iqn.2026-11.io.lunette:t{n}") for n in range(4)]
    running = [VerifyIo(env, url, "--seed", n, "--operations", 5000) for n, url in enumerate(urls)]
    for one in running:
        assert one.result()["errors"] == 0


@test(quick=True)
def a_lun_grows_under_verified_io(env):
    daemon = env.daemon()
    url = daemon.serve("vol", 32 << 20, target_object_size_bytes=16 << 20)
    running = VerifyIo(env, url)
    for mib in (40, 64, 100):
        daemon.rest.patch("/luns/vol", {"size_bytes": mib << 20}, expect=(200, 202))
        daemon.rest.get("/luns/vol", expect=200)
    report = running.finish()
    assert report["errors"] == 0 and report["reconnects"] == 0, report
    shown = env.run("iscsi-readcapacity16", url).stdout
    assert str((100 << 20)) in shown or str((100 << 20) // 512 - 1) in shown, shown
    qemu_io(env, url, ["write -P 9 99M 1M", "read -P 9 99M 1M", "read -P 0 80M 1M"])


@test(quick=True)
def data_is_there_after_a_restart_and_after_a_crash(env):
    daemon = env.daemon()
    url = daemon.serve("vol", 32 << 20)
    identity = {k: daemon.rest.get("/luns/vol").json[k] for k in ("id", "serial", "naa")}
    qemu_io(env, url, ["write -P 1 0 1M", "write -P 2 5M 64k", "flush"])
    daemon.restart()
    qemu_io(env, url, ["read -P 1 0 1M", "read -P 2 5M 64k", "read -P 0 6M 1M", "write -f -P 3 1M 1M"])
    daemon.crash()
    daemon.start()
    qemu_io(env, url, ["read -P 1 0 1M", "read -P 2 5M 64k", "read -P 3 1M 1M"])
    assert {k: daemon.rest.get("/luns/vol").json[k] for k in identity} == identity


@test(quick=True)
def discarded_blocks_read_as_zeroes_and_give_space_back(env):
    daemon = env.daemon()
    url = daemon.serve("vol", 64 << 20)
    qemu_io(env, url, ["write -P 1 0 32M", "flush"])
    before = used_bytes(daemon)
    qemu_io(env, url, ["discard 8M 16M", "read -P 0 8M 16M", "read -P 1 0 8M", "read -P 1 24M 8M"], "-d", "unmap")
    after = used_bytes(daemon)
    env.note(f"store: {before >> 20} MiB before, {after >> 20} MiB after the discard of 16 MiB")
    assert before - after >= 15 << 20, (before, after)


def used_bytes(daemon):
    """Space that the files below the state directory use on the disk."""
    return sum(p.stat().st_blocks * 512 for p in daemon.state.rglob("*") if p.is_file())
