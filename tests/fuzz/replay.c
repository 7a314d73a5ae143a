/* The main() of a fuzz target that is not built by libFuzzer: gives each file named on the command line to the target, one
 * after the other, and says how many there were. A file that makes the target fail ends the program, as it should. */
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

/* The bytes are malloc'ed with exactly their length, so that a sanitizer sees the first byte read beyond them. */
static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	long len_bytes = -1;

	if (!file) {
		perror(path);
		return -1;
	}
	if (fseek(file, 0, SEEK_END) == 0)
		len_bytes = ftell(file);
	rewind(file);
	if (len_bytes >= 0)
		bytes = malloc((size_t)len_bytes ? (size_t)len_bytes : 1);
	if (!bytes || fread(bytes, 1, (size_t)len_bytes, file) != (size_t)len_bytes) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(bytes);
		fclose(file);
		return -1;
	}
	fclose(file);
	fprintf(stderr, "replay %s\n", path);
	LLVMFuzzerTestOneInput(bytes, (size_t)len_bytes);
	free(bytes);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != 0)
			return EXIT_FAILURE;
	printf("%d inputs\n", argc - 1);
	return EXIT_SUCCESS;
}
