/*
 * Whole logins as initiators of the field do them, byte for byte: tests/golden/login/NAME.txt holds requests ("> csg nsg
 * flags" and a line a pair) with our responses ("< next bhs" and a line a pair). LUNETTE_GOLDEN_WRITE=1 writes the
 * responses anew; look at the difference before you keep it.
 */
#include "login_client.h"

#include <dirent.h>

#define GOLDEN_DIR "tests/golden/login"
#define SERVE                                                                                                  \
	"{'portals':{'default':{'address':'127.0.0.1:3260','tag':1}},'targets':{"                              \
	"'iqn.2026-11.io.lunette:t1':{'alias':'vol1'},"                                                        \
	"'iqn.2026-11.io.lunette:chap':{'auth':{'chap':{'user':'u','secret':'secretofhosts01'}}},"             \
	"'iqn.2026-11.io.lunette:moved':{'redirect':{'address':'10.0.0.2:3260'}}}}"

static const char *const next_names[] = {
	[ISCSI_LOGIN_REPLY] = "reply", [ISCSI_LOGIN_HANDOVER] = "handover", [ISCSI_LOGIN_DONE] = "done",
	[ISCSI_LOGIN_FAILED] = "failed", [ISCSI_LOGIN_DROP] = "drop",
};

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(file);
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void write_response(FILE *to, enum iscsi_login_next next, const struct iscsi_login_response *response)
{
	fprintf(to, "< %s", next_names[next]);
	if (next == ISCSI_LOGIN_DROP || next == ISCSI_LOGIN_HANDOVER) {
		fprintf(to, "\n");
		return;
	}
	for (unsigned i = 0; i < ISCSI_BHS_BYTES; i++)
		fprintf(to, "%s%02x", i % 4 == 0 ? " " : "", response->bhs[i]);
	fprintf(to, "\n");
	for (uint32_t i = 0; i < response->data_bytes; i++)
		fputc(response->data[i] ? response->data[i] : '\n', to);
}

/* The requests of a golden file with our responses of today. */
static char *play(const char *golden)
{
	struct client client = client_of(SERVE);
	size_t size;
	char *played, pairs[8192];
	FILE *to = open_memstream(&played, &size);
	unsigned csg, nsg, flags;

	while (*golden) {
		size_t line = strcspn(golden, "\n") + 1, len = 0;
		enum iscsi_login_next next;

		if (*golden == '#')
			fprintf(to, "%.*s", (int)line, golden);
		if (sscanf(golden, "> %u %u %x", &csg, &nsg, &flags) != 3) {
			golden += line;
			continue;
		}
		fprintf(to, "%.*s", (int)line, golden);
		golden += line;
		while (*golden && *golden != '<' && *golden != '>' && *golden != '#') {
			line = strcspn(golden, "\n") + 1;
			memcpy(pairs + len, golden, line);
			len += line;
			golden += line;
		}
		fprintf(to, "%.*s", (int)len, pairs);
		for (size_t i = 0; i < len; i++)
			if (pairs[i] == '\n')
				pairs[i] = '\0';
		next = client_send(&client, (int)csg, (int)flags, (int)nsg, pairs, len);
		if (next == ISCSI_LOGIN_DONE)
			iscsi_login_finish(client.login, 0, 1, &client.response);
		write_response(to, next, &client.response);
	}
	fclose(to);
	client_end(&client);
	return played;
}

static void logins_of_the_field_are_answered_as_recorded(void **state)
{
	DIR *dir = opendir(GOLDEN_DIR);
	struct dirent *entry;
	char path[600];
	unsigned files = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char *golden, *played;
		FILE *file;

		if (!strstr(entry->d_name, ".txt"))
			continue;
		snprintf(path, sizeof path, GOLDEN_DIR "/%s", entry->d_name);
		golden = read_file(path);
		played = play(golden);
		if (getenv("LUNETTE_GOLDEN_WRITE")) {
			file = fopen(path, "w");
			assert_non_null(file);
			fputs(played, file);
			fclose(file);
		} else if (strcmp(golden, played) != 0) {
			fail_msg("%s: now\n%s", path, played);
		}
		free(golden);
		free(played);
		files++;
	}
	closedir(dir);
	assert_true(files >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logins_of_the_field_are_answered_as_recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
