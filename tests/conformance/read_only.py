"""What a test of iscsi-test-cu that writes may say on a read-only LUN, where it must be answered DATA PROTECT, WRITE PROTECTED.

Such a test does not apply when all that failed is explained: each report of a command says WRITE PROTECTED; there are at most as
many failed checks of a command's result as reports; everything else stands in FOLLOWS, because it follows from a write that was
not done. Anything more is a failure. Of the tests in WITHOUT_WORDS nothing but FOLLOWS is known: they report no sense.
"""
import re

WRITE_PROTECTED = re.compile(r"^\[FAILED\] .*(WRITE_PROTECTED|0x07\)/\(0x2700\))")
COMMAND_CHECK = re.compile(r"CU_ASSERT_EQUAL\((_r,0|ret,0|0,ret)\)$")
UNIT_ATTENTION_OF_THE_RESET = r"\[FAILED\] PRIN command: .*UNIT_ATTENTION\(6\) ASCQ:BUS_DEVICE_RESET_FUNCTION_OCCURED\(0x2903\)"

# test: what follows in it from writes that are not done
FOLLOWS = {test: re.compile(pattern) for test, pattern in {
    r"SCSI.CompareAndWrite.Miscompare": r'CU_FAIL\("Block was written to"\)',
    r"SCSI.CompareAndWrite.Simple": r'CU_FAIL\("Block was not written correctly"\)',
    r"SCSI.CompareAndWrite.Unwritten": r"CU_ASSERT_EQUAL\(memcmp\(",
    r"SCSI.ExtendedCopy.Simple": r'CU_FAIL\("Blocks were not copied correctly"\)',
    r"SCSI.GetLBAStatus.UnmapSingle": r"LBA should be mapped but isn't",
    r"SCSI.MultipathIO.CompareAndWriteAsync": r"CU_ASSERT_EQUAL\(atask->sense\.(key|ascq),SCSI_SENSE_\w*MISCOMPARE\w*\)",
    r"SCSI.OrWrite.Verify": r"test_orwrite_verify\.c:\d+ +- +CU_ASSERT_EQUAL\(ret,0\)",  # what it compares was not written
    r"SCSI.Sanitize.Overwrite": r"Blocks did not read back as ",
    r"SCSI.Sanitize.Reset": r"successful but should have failed with NOT READY\(0x02\)/SANITIZE_IN_PROGRESS\(0x041b\)"
                            r"|test_sanitize_reset\.c:\d+ +- +CU_ASSERT_EQUAL\(_r,0\)|" + UNIT_ATTENTION_OF_THE_RESET,
    r"SCSI.Unmap.VPD": r"UNMAP is (not implemented|unavailable) but ",
    r"SCSI.Write10.Async": r"CU_ASSERT_NOT_EQUAL\(status,SCSI_STATUS_CHECK_CONDITION\)",
    r"SCSI.WriteSame10.Check": r"CU_ASSERT_EQUAL\(0,memcmp\(",
    r"SCSI.WriteSame16.Check": r"CU_ASSERT_EQUAL\(0,memcmp\(",
    r"SCSI.WriteSame10.UnmapVPD": r"WRITESAME10 UNMAP is (not implemented|unavailable) but ",
    r"SCSI.WriteSame16.UnmapVPD": r"WRITESAME16 UNMAP is (not implemented|unavailable) but ",
    **{f"iSCSI.iSCSIResiduals.{write}Residuals":
       r"CU_ASSERT_EQUAL\(task->(status,SCSI_STATUS_GOOD|residual_status,SCSI_RESIDUAL_OVERFLOW|residual,)|- +ok$"
       r'|CU_FAIL\("(Block was not written correctly|Second block was incorrectly overwritten)"\)'
       for write in ("Write10", "Write12", "Write16", "WriteVerify10", "WriteVerify12", "WriteVerify16")},
    r"iSCSI.iSCSITMF.AbortTaskSimpleAsync": r"CU_ASSERT_NOT_EQUAL\(status,SCSI_STATUS_CHECK_CONDITION\)|CU_ASSERT_EQUAL\(state\.wr_good,1\)",
    r"iSCSI.iSCSITMF.LUNResetSimpleAsync": r"CU_ASSERT_NOT_EQUAL\(status,SCSI_STATUS_CHECK_CONDITION\)"
                                           r"|CU_ASSERT_EQUAL\(reconnect_succeeded,1\)|" + UNIT_ATTENTION_OF_THE_RESET,
}.items()}
WITHOUT_WORDS = {"SCSI.Write10.Async", "SCSI.Sanitize.Reset", "iSCSI.iSCSITMF.AbortTaskSimpleAsync", "iSCSI.iSCSITMF.LUNResetSimpleAsync"}
NOTHING = re.compile(r"(?!)")


def unexplained(test, failures):
    """What of its failures (testcu.failures()) has no explanation; empty when the test does not apply to a read-only LUN."""
    reports = [f for f in failures if WRITE_PROTECTED.search(f)]
    if not reports and test not in WITHOUT_WORDS:
        return failures or ["it failed without a word"]
    rest = [f for f in failures if f not in reports and not FOLLOWS.get(test, NOTHING).search(f)]
    commands = [f for f in rest if COMMAND_CHECK.search(f)]
    return [f for f in rest if f not in commands] + commands[len(reports):]
