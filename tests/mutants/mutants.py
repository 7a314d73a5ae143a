"""Protections of the product, each with the one edit that removes it, and the test that must go red then.

An edit replaces a text that occurs exactly once in its file; one that does not fit any more fails the run and is put right
here. A new test of robustness adds its row.
"""
import collections

# guards: the invariant of PROTOCOL 2.2, or the rule. test: ("unit", FOLDER/TEST) or ("system", NAME)
Mutant = collections.namedtuple("Mutant", "name guards what file find replace test")

MUTANTS = [
    Mutant("reads-through-exclusive-access", "SPC-4 table 65", "exclusive access lets others read", "dataplane/scsi/lu.c",
           "return pr_type_excludes_reads(pr->type) ? ALLOW_SHARED : ALLOW_SHARED | ALLOW(READ);",
           "return ALLOW_SHARED | ALLOW(READ);", ("unit", "scsi/conflict_test")),
    Mutant("no-unit-attention-for-the-preempted", "I9", "who lost a registration is not told", "dataplane/scsi/pr_out.c",
           "if (effects[index].unit_attention)", "if (false && effects[index].unit_attention)", ("unit", "scsi/reservation_test")),
    Mutant("no-fsync-of-the-version", "I7, APTPL", "a published version is not fsynced into its directory",
           "cluster/docstore.c", "if (docstore_fsync(store, p->versions_fd) < 0)",
           "if (false && docstore_fsync(store, p->versions_fd) < 0)", ("unit", "scsi/power_cut_test")),
    Mutant("good-because-it-is-there-already", "I7, APTPL", "a version whose fsync failed counts as durable",
           "dataplane/scsi/pr_out.c", "durable = version <= lu->pr_durable;", "durable = version <= UINT64_MAX;",
           ("unit", "scsi/power_cut_test")),
    Mutant("aptpl-is-forgotten", "I7, APTPL", "every start of the daemon ends reservations", "dataplane/scsi/pr_state.c",
           "if (written != epoch && !aptpl)", "if (written != epoch)",
           ("system", "reservation.aptpl_survives_the_death_of_the_whole_daemon")),
    Mutant("moved-to-a-port-that-does-not-exist", "SPC-4 5.13.8", "every relative target port will do",
           "dataplane/reactor/serve.c", "bool admitted = target &&", "bool admitted = !target ? true :", ("system", "reservation.register_and_move")),
    Mutant("preempt-and-abort-does-not-wait", "I5", "GOOD while the preempted still write", "dataplane/scsi/pr_out.c",
           "if (aborted && lu->services.abort_nexuses)", "if (false && aborted && lu->services.abort_nexuses)",
           ("system", "reservation.preempt_and_abort_is_good_only")),
    Mutant("task-management-does-not-wait", "I5", "a function is answered while its tasks still write",
           "dataplane/iscsi/abort.c", "if (task->scsi.aborted && task->state == ISCSI_TASK_EXECUTING && task_matches(part, task))",
           "if (false && task_matches(part, task))", ("unit", "iscsi/task_management_test")),
    Mutant("reinstatement-does-not-wait", "I5", "a new session while tasks of the old one still write",
           "dataplane/iscsi/session.c", "if (old && !facts->discovery)", "if (false && old && !facts->discovery)",
           ("system", "history.a_completion_that_is_lost")),
    Mutant("ghost-writes-of-dead-hosts", "I2", "nothing waits for a write that was given up", "dataplane/scsi/abandoned.c",
           "behind |= lba < old_end && old_lba < end;", "behind |= false && lba < old_end && old_lba < end;",
           ("system", "ghost_write.a_write_of_a_host_that_died")),
    Mutant("ghost-writes-of-broken-paths", "I2", "writes of two paths of a host pass each other", "dataplane/scsi/paths.c",
           "lock->ordered = path != PATH_ONLY;", "lock->ordered = false && path != PATH_ONLY;",
           ("system", "ghost_write.a_write_of_a_path_that_broke")),
    Mutant("ghost-writes-out-of-the-socket", "I2", "what is read after its path was given up is written", "dataplane/scsi/paths.c",
           "return task->path_gone && task->path_gone(task);", "return false && task->path_gone(task);", ("unit", "tcp/tcp_test")),
    Mutant("store-errors-are-swallowed", "I1", "a write that the store refused is GOOD", "dataplane/scsi/block_read_write.c",
           "	if (result)\n		scsi_fail_errno(task, result, true);\n	scsi_finish(task);\n}\n\nstatic void write_granted",
           "	if (false && result)\n		scsi_fail_errno(task, result, true);\n	scsi_finish(task);\n}\n\nstatic void write_granted",
           ("system", "history.errors_of_the_store")),
    Mutant("writes-that-are-lost", "I1, I3", "one write in eight is acknowledged and not done", "dataplane/scsi/block_read_write.c",
           "	scsi_block_submit(task, write_done);",
           "	if (task->io.lba % 8 == 5)\n		write_done(&task->io, 0);\n	else\n		scsi_block_submit(task, write_done);",
           ("system", "history.a_controlled_stop")),
    Mutant("a-full-disk-is-a-medium-error", "27h/07", "no space is not told as such", "dataplane/scsi/sense.c",
           "{ -ENOSPC, KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED, ASC_SPACE_ALLOCATION_FAILED },",
           "{ -ENOSPC, KEY_MEDIUM_ERROR, ASC_WRITE_ERROR, ASC_WRITE_ERROR },", ("system", "history.a_full_disk")),
    Mutant("r2t-takes-a-statsn", "I14", "R2T counts as a status", "dataplane/iscsi/connection.c",
           "connection->statsn += advances_statsn;", "connection->statsn += advances_statsn || bhs[0] == 0x31;",
           ("system", "wire.qemu")),
    Mutant("residuals-are-not-told", "I14", "less came than was expected, and nobody says so", "dataplane/iscsi/command.c",
           "bhs[1] |= 0x02;", "bhs[1] |= 0;", ("system", "wire.qemu")),
]
