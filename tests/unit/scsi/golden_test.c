/*
 * What initiators see of a LUN, byte for byte: tests/golden/scsi/NAME.txt holds the data-in of a CDB as hex, 16 bytes a
 * line. These bytes must not change by accident: initiators keep them. LUNETTE_GOLDEN=write writes the files anew.
 */
#include "tests/unit/scsi/check.h"

#define GOLDEN_DIR "tests/golden/scsi"
#define DOCS       "docs/scsi-commands.md"

static const char docs_head[] =
	"# SCSI commands\n\n"
	"Made from `dataplane/scsi/commands.def` (SPC-4, SBC-3); REPORT SUPPORTED OPERATION CODES tells an initiator the same.\n"
	"Access is what reservations look at (SPC-4 table 65): *any* never conflicts; *status* only with RESERVE(6); *read* "
	"with exclusive\naccess; *write* and *manage* with every reservation that excludes the initiator; *reserve* and "
	"*release* with any registration.\n*write* is also what write protection forbids.\n\n"
	"Where a path is active, all commands run; in other asymmetric access states (SPC-4 5.15) those that say so.\n\n"
	"| opcode | service action | command | CDB bytes | access | runs also in | only on |\n"
	"| --- | --- | --- | --- | --- | --- | --- |\n";

static const struct {
	const char *name;
	uint8_t cdb[16];
	uint32_t block_bytes;
	bool thick;
} cases[] = {
	{ "inquiry", { 0x12, 0, 0, 0, 255 }, 512, false },
	{ "vpd_00_supported_pages", { 0x12, 1, 0x00, 0, 255 }, 512, false },
	{ "vpd_80_serial_number", { 0x12, 1, 0x80, 0, 255 }, 512, false },
	{ "vpd_83_identification", { 0x12, 1, 0x83, 1, 255 }, 512, false },
	{ "vpd_86_extended_inquiry", { 0x12, 1, 0x86, 0, 255 }, 512, false },
	{ "vpd_8f_third_party_copy", { 0x12, 1, 0x8f, 1, 255 }, 512, false },
	{ "vpd_b0_block_limits", { 0x12, 1, 0xb0, 0, 255 }, 512, false },
	{ "vpd_b0_block_limits_4096", { 0x12, 1, 0xb0, 0, 255 }, 4096, false },
	{ "vpd_b0_block_limits_thick", { 0x12, 1, 0xb0, 0, 255 }, 512, true },
	{ "vpd_b1_characteristics", { 0x12, 1, 0xb1, 0, 255 }, 512, false },
	{ "vpd_b2_provisioning", { 0x12, 1, 0xb2, 0, 255 }, 512, false },
	{ "vpd_b2_provisioning_thick", { 0x12, 1, 0xb2, 0, 255 }, 512, true },
	{ "mode_sense_6_all", { 0x1a, 0, 0x3f, 0, 255 }, 512, false },
	{ "mode_sense_6_changeable", { 0x1a, 0x08, 0x7f, 0, 255 }, 512, false },
	{ "mode_sense_6_default", { 0x1a, 0x08, 0xbf, 0xff, 255 }, 512, false },
	{ "mode_sense_10_all", { 0x5a, 0, 0x3f, 0xff, 0, 0, 0, 0, 255 }, 4096, false },
	{ "mode_sense_10_long_lba", { 0x5a, 0x10, 0x0a, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "read_capacity_16", { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "report_luns", { 0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0 }, 512, false },
	{ "report_target_port_groups", { 0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "report_supported_operation_codes", { 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 255, 255 }, 512, false },
	{ "report_supported_operation_codes_thick", { 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 255, 255 }, 512, true },
	{ "report_write_10", { 0xa3, 0x0c, 1, 0x2a, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "report_supported_tmf", { 0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "log_sense_pages", { 0x4d, 0, 0x40, 0, 0, 0, 0, 0, 255 }, 512, false },
	{ "log_sense_subpages", { 0x4d, 0, 0x40, 0xff, 0, 0, 0, 0, 255 }, 512, false },
};

static void hex(char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (uint32_t i = 0; i < outcome.data_in_bytes && at + 4 < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%02x%c", outcome.data[i],
				       i % 16 == 15 || i + 1 == outcome.data_in_bytes ? '\n' : ' ');
}

static void compare(const char *name)
{
	static char ours[65536], golden[65536];
	char path[128];
	size_t n;
	FILE *file;
	const char *mode = getenv("LUNETTE_GOLDEN");

	snprintf(path, sizeof path, GOLDEN_DIR "/%s.txt", name);
	hex(ours, sizeof ours);
	file = fopen(path, mode && !strcmp(mode, "write") ? "w+" : "r");
	if (!file)
		fail_msg("%s is missing; it would be\n%s", path, ours);
	if (mode && !strcmp(mode, "write"))
		fputs(ours, file), rewind(file);
	n = fread(golden, 1, sizeof golden - 1, file);
	golden[n] = '\0';
	fclose(file);
	if (strcmp(ours, golden))
		fail_msg("%s\nis\n%sinstead of\n%s", name, ours, golden);
}

/* docs/scsi-commands.md is made from the table. */
static void the_documented_commands_are_those_of_the_table(void **state)
{
	static const char *const access[ACCESS_COUNT] = {
		[ACCESS_ANY] = "any", [ACCESS_STATUS] = "status", [ACCESS_READ] = "read", [ACCESS_WRITE] = "write",
		[ACCESS_MANAGE] = "manage", [ACCESS_RESERVE] = "reserve", [ACCESS_RELEASE] = "release",
		[ACCESS_PR_IN] = "PR IN", [ACCESS_PR_OUT] = "PR OUT",
	};
	const char *mode = getenv("LUNETTE_GOLDEN");
	static char ours[65536], theirs[65536];
	size_t at = 0;
	FILE *file;

	(void)state;
	at += (size_t)snprintf(ours, sizeof ours, "%s", docs_head);
	for (unsigned i = 0; i < scsi_command_count; i++) {
		const struct scsi_command *row = &scsi_commands[i];
		char action[16] = "", states[48];

		if (row->service_action != SCSI_SA_NONE)
			snprintf(action, sizeof action, "%02Xh", (unsigned)row->service_action);
		snprintf(states, sizeof states, "%s%s%s", row->flags & CMD_STANDBY ? "standby" : "",
			 row->flags & CMD_UNAVAILABLE ? ", unavailable" : "", row->flags & CMD_TRANSITION ? ", transitioning" : "");
		at += (size_t)snprintf(ours + at, sizeof ours - at, "| %02Xh | %s | %s | %u | %s | %s | %s |\n", row->opcode,
				       action, row->name, row->cdb_len_bytes, access[row->access], states,
				       row->flags & CMD_LBP ? "thin LUNs" :
				       row->flags & CMD_TPGS ? "targets with explicit_alua" : "");
	}
	file = fopen(DOCS, mode && !strcmp(mode, "write") ? "w+" : "r");
	assert_non_null(file);
	if (mode && !strcmp(mode, "write"))
		fputs(ours, file), rewind(file);
	theirs[fread(theirs, 1, sizeof theirs - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(theirs, ours);
}

static void the_bytes_are_those_of_the_golden_files(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		world_init(&world, &(struct world_options){ .block_bytes = cases[i].block_bytes, .thick = cases[i].thick });
		send(cases[i].cdb, 16);
		expect_good();
		if (cases[i].cdb[0] == 0x12 && !cases[i].cdb[1])
			memcpy(outcome.data + 32, "0000", 4); /* the revision is that of the day */
		compare(cases[i].name);
		world_fini(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_those_of_the_golden_files),
		cmocka_unit_test(the_documented_commands_are_those_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
