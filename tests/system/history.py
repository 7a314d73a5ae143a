#!/usr/bin/python3
"""Judges histories of reads and writes: is each block a register that everybody sees alike (linearizable)?

usage: history.py FILE...        exit status 0: yes; 1: no, and what is wrong, block by block

A line of a file is one command; times are nanoseconds of one clock for all files:

  W began ended first count value        a write that was acknowledged: blocks first .. first + count - 1 got the value
  M began ended first count value        a write that may have happened, and if so, until `ended` (18446744073709551615: any time)
  R began ended first value ...          a read, and what each block held; 0 is the block never written

Every write has a value of its own, so each read says which write it saw, and the question is decidable in O(n log n)
(Gibbons and Korach, "Testing shared memories", 1997). For each value v let low be the earliest end, and high the latest
beginning, of the write of v and the reads that saw it. low < high: v must have been there all the time between (a forward
zone). Otherwise it was there at some moment in [high, low] (a backward zone). The history of a block is linearizable just
when no read ended before its write began, no two forward zones overlap, and no backward zone lies within a forward one.
A write that may have happened and that nobody saw says nothing.
"""
import bisect
import sys

NEVER = 18446744073709551615


class Cluster:
    """A value of one block: its write and the reads that saw it."""

    __slots__ = ("value", "began", "low", "high", "seen", "sure")

    def __init__(self, value, began, ended, sure):
        self.value, self.began, self.low, self.high, self.seen, self.sure = value, began, ended, began, False, sure

    def read(self, began, ended):
        self.seen = True
        self.low, self.high = min(self.low, ended), max(self.high, began)


def parse(lines):
    """(writes, reads) of all blocks: {block: {value: Cluster}}, [(block, value, began, ended)]."""
    writes, reads = {}, []
    for line in lines:
        kind, began, ended, first, *rest = line.split()
        began, ended, first = int(began), int(ended), int(first)
        if kind == "R":
            reads += [(first + i, int(value), began, ended) for i, value in enumerate(rest)]
            continue
        count, value = int(rest[0]), int(rest[1])
        for block in range(first, first + count):
            writes.setdefault(block, {})[value] = Cluster(value, began, ended, kind == "W")
    return writes, reads


def judge_block(block, clusters):
    """What is wrong with one block, as sentences."""
    forward = sorted((c for c in clusters if c.low < c.high), key=lambda c: c.low)
    wrong = []
    for one, two in zip(forward, forward[1:]):
        if two.low < one.high:
            wrong.append(f"block {block}: value {one.value} was there from {one.low} to {one.high}, "
                         f"and so was {two.value} from {two.low} to {two.high}")
    lows = [c.low for c in forward]
    for one in (c for c in clusters if c.low >= c.high):
        at = bisect.bisect_left(lows, one.high) - 1  # the only zone that can lie around it: they do not overlap
        if at >= 0 and one.low < forward[at].high:
            wrong.append(f"block {block}: value {one.value} was written between {one.high} and {one.low}, and lost: "
                         f"{forward[at].value} was there from {forward[at].low} to {forward[at].high}")
    return wrong


def judge(lines):
    """What is wrong with a history, as sentences; none when it is right."""
    writes, reads = parse(lines)
    wrong = []
    for block, value, began, ended in reads:
        known = writes.setdefault(block, {})
        if value == 0 and 0 not in known:
            known[0] = Cluster(0, -1, -1, True)
        if value not in known:
            wrong.append(f"block {block}: read value {value} between {began} and {ended}, which nobody wrote")
            continue
        if ended < known[value].began:
            wrong.append(f"block {block}: value {value} was read before {known[value].began}, when its write began")
        known[value].read(began, ended)
    for block, known in sorted(writes.items()):
        wrong += judge_block(block, [c for c in known.values() if c.sure or c.seen])
    return wrong


def main():
    lines = [line for name in sys.argv[1:] for line in open(name, encoding="ascii")]
    wrong = judge(lines)
    print(*wrong[:20], sep="\n")
    print(f"{len(lines)} commands: " + (f"{len(wrong)} wrong" if wrong else "linearizable"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
