"""The CPU time of a worker per I/O, compared in turns: for machines that do other things meanwhile."""
import json
import pathlib
import random
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def cpu_per_io(daemon, target, op, sessions, depth, seconds, *more):
    """Microseconds of user and kernel time of worker0 for each 4 KiB read or write."""
    words = [ROOT / "build/release/tests/bench/load", "--address", daemon.portal(), "--target", target, "--lun", 0, "--op", op,
             "--bytes", 4096, "--depth", depth, "--sessions", sessions, "--seconds", seconds, "--warmup", 0.03,
             "--cpu-of", daemon.roles()["worker0"], *more]
    done = subprocess.run(map(str, words), capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)["cpu_us_per_io"]


def compared(measure, usual, changed, rounds):
    """measure(changed) / measure(usual) in pairs, each pair in the other order: the median and its 95 % interval (bootstrap)."""
    ratios = []
    for number in range(rounds):
        order = (usual, changed) if number % 2 else (changed, usual)
        found = {which: measure(which) for which in order}
        ratios.append(found[changed] / found[usual])
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(1000))
    return f"{statistics.median(ratios):.3f} ({medians[25]:.3f} .. {medians[-26]:.3f})"
