"""How the runner of conformance reads iscsi-test-cu on a read-only LUN, with recorded output (tests/golden/conformance)."""
import sys

from harness.registry import test

RESERVE, COMPARE, SANITIZE, ABORT = (
    "SCSI.ProutReserve.AccessEA", "SCSI.CompareAndWrite.Simple", "SCSI.Sanitize.Reset", "iSCSI.iSCSITMF.AbortTaskSimpleAsync")


def verdict(env, name, *replaced):
    """What is unexplained in a recorded output in which something was replaced."""
    path = str(env.programs.root / "tests/conformance")
    if path not in sys.path:
        sys.path.insert(0, path)
    import read_only
    import testcu
    text = (env.programs.root / f"tests/golden/conformance/{name}.txt").read_text(encoding="utf-8")
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    outcome = testcu.judge(text, 1)
    assert outcome.kind == "failed", outcome
    return read_only.unexplained(name, outcome.failures)


@test(quick=True)
def a_write_to_a_read_only_lun_that_is_write_protected_explains_what_follows(env):
    for name in (RESERVE, COMPARE, SANITIZE, ABORT):
        assert verdict(env, name) == [], name


@test(quick=True)
def one_write_protected_explains_no_other_failure(env):
    check = "test_prout_reserve_access.c:77  - CU_ASSERT_EQUAL(0,ret)\n"
    another_sense = ("DATA PROTECTION(7) ASCQ:WRITE_PROTECTED(0x2700)", "ILLEGAL_REQUEST(5) ASCQ:INVALID_FIELD_IN_CDB(0x2400)")
    assert verdict(env, RESERVE, another_sense)
    assert verdict(env, RESERVE, ("[FAILED]", "")), "nothing says WRITE PROTECTED"
    assert verdict(env, RESERVE, (check, check + "    2. test_prout_reserve_access.c:99  - CU_ASSERT_EQUAL(0,ret)\n")) == [
        "test_prout_reserve_access.c:99  - CU_ASSERT_EQUAL(0,ret)"], "a second check, one report"
    assert verdict(env, RESERVE, (check, check + "    2. test_prout_reserve_access.c:99  - CU_ASSERT_EQUAL(holder,1)\n"))
    assert verdict(env, RESERVE, ("FAILED\n", "FAILED\n    [FAILED] READ10 command failed with status 24 / RESERVATION CONFLICT\n"))
    assert verdict(env, COMPARE, ("Block was not written correctly", "Read returned the wrong length"))


@test(quick=True)
def tests_that_report_no_sense_may_fail_in_their_own_way_only(env):
    assert verdict(env, ABORT, ("state.wr_good,1", "state.abort_ok,1")) == ["test_async_abort_simple.c:198  - CU_ASSERT_EQUAL(state.abort_ok,1)"]
    assert verdict(env, SANITIZE, ("BUS_DEVICE_RESET_FUNCTION_OCCURED(0x2903)", "CAPACITY_DATA_HAS_CHANGED(0x2a09)"))
    assert verdict(env, SANITIZE, ("SANITIZE_IN_PROGRESS(0x041b)", "INITIALIZING_COMMAND_REQUIRED(0x0402)"))
