"""The section "Hostile input" of docs/robustness.md: which rows of the list of bad inputs have cases, and how many."""
import collections

DOCUMENT, BEGINS, ENDS = "docs/robustness.md", "<!-- hostile: begins -->", "<!-- hostile: ends -->"

GROUPS = [  # rows first to last, what they are
    (1, 15, "TCP and connections"), (16, 48, "login and text"), (49, 70, "full feature PDUs"), (71, 83, "CDBs"),
    (84, 99, "reservation and copy parameter lists"), (113, 130, "REST and HTTP"), (131, 138, "JSON"),
]
NO_ROW = {8, 14, 21, 34, 46, 52, 57, 66, 73, 79, 87, 92, 96, 114}  # numbers that the list does not use
ELSEWHERE = {
    "B012": "`tests/system/run kill`: workers are killed under verified I/O",
    "B015": "`tests/system/run supervisor`: an address in use is refused; two nodes: with the cluster",
    "B126": "no Idempotency-Key: what is created is PUT under a name of the caller's choice, and the same again changes nothing",
    "B129": "`tests/system/run kill`: what is changed about the death of control reaches the workers",
    "B130": "with the cluster: one host has no quorum to lose",
}
RULE = """Made by `tests/hostile/run --report`; the cases run by `tests/hostile/run` against the sanitizer build (in CI as the suite
`hostile`), their long forms by `tests/hostile/run --soak` (`make nightly`). The numbers are those of the team's list of bad
inputs, classes B001 to B138 without the iSER ones (B100 to B112). What each case is held to stands at the head of
`tests/hostile/world.py`."""


def rows_of(classes):
    count, long_forms = collections.Counter(), collections.Counter()
    for _, cases in classes:
        for case in cases:
            for row in case.rows.split():
                (long_forms if case.soak else count)[row] += 1
    return count, long_forms


def section(classes):
    count, long_forms = rows_of(classes)
    lines = ["## Hostile input", "", RULE, "", "| rows | what | cases | long forms | rows without a case |", "| --- | --- | ---: | ---: | --- |"]
    for first, last, what in GROUPS:
        rows = [f"B{n:03d}" for n in range(first, last + 1) if n not in NO_ROW]
        without = [row for row in rows if not count[row] and not long_forms[row]]
        lines.append(f"| B{first:03d} to B{last:03d} | {what} | {sum(count[r] for r in rows)} | {sum(long_forms[r] for r in rows)} | "
                     f"{', '.join(without) or 'none'} |")
    lines += ["", "| row | cases | long forms | elsewhere, or why not |", "| --- | ---: | ---: | --- |"]
    for first, last, _ in GROUPS:
        for n in range(first, last + 1):
            row = f"B{n:03d}"
            if n not in NO_ROW:
                lines.append(f"| {row} | {count[row] or ''} | {long_forms[row] or ''} | {ELSEWHERE.get(row, '')} |")
    return "\n".join(lines) + "\n"


def write(root, classes, only_check):
    """Puts the section between its marks (at the end when there are none yet); exit status."""
    path, made = root / DOCUMENT, f"{BEGINS}\n{section(classes)}{ENDS}\n"
    old = path.read_text(encoding="utf-8") if path.exists() else "# Robustness\n"
    if BEGINS in old:
        head, _, rest = old.partition(BEGINS)
        new = head + made + rest.partition(ENDS + "\n")[2]
    else:
        new = old.rstrip("\n") + "\n\n" + made
    if only_check:
        if new != old:
            print(f"{DOCUMENT} is not what the cases say: tests/hostile/run --report writes it")
        return int(new != old)
    path.write_text(new, encoding="utf-8")
    return 0
