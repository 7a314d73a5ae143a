/* Files of the dashboard: see assets.h. */
#include "api/assets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/accept.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"
#include "log.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define HASH_MIN        8

static const char page_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char *content_type_of(const char *name)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" }, { ".svg", "image/svg+xml" }, { ".png", "image/png" },
		{ ".ico", "image/x-icon" }, { ".woff2", "font/woff2" }, { ".json", "application/json" },
		{ ".map", "application/json" }, { ".webmanifest", "application/manifest+json" },
		{ ".txt", "text/plain; charset=utf-8" },
	};
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; suffix && i < sizeof types / sizeof types[0]; i++)
		if (strcmp(suffix, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* The word before the suffix, behind '-' or '.', all digits and capitals (as esbuild writes it) or all hexadecimal. */
bool asset_name_has_hash(const char *name)
{
	const char *end = strchr(name, '.'), *start;

	for (const char *next = end; next && (next = strchr(next + 1, '.'));)
		if (strcmp(next, ".map") != 0)
			end = next;
	if (!end)
		return false;
	for (start = end; start > name && start[-1] != '-' && start[-1] != '.';)
		start--;
	if (start == name || end - start < HASH_MIN)
		return false;
	return strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == (size_t)(end - start) ||
	       strspn(start, "0123456789abcdef") == (size_t)(end - start);
}

static struct asset *find(struct assets *assets, const char *name, size_t len)
{
	for (unsigned i = 0; i < assets->count; i++)
		if (strlen(assets->at[i].name) == len && memcmp(assets->at[i].name, name, len) == 0)
			return &assets->at[i];
	return NULL;
}

const struct asset *assets_find(const struct assets *assets, const char *name)
{
	const struct asset *asset = find((struct assets *)assets, name, strlen(name));

	return asset && asset->plain.bytes ? asset : NULL;
}

/* The whole of a regular file of at most room bytes; 0 or negative errno. */
static int read_file(int dir_fd, const char *name, size_t room, struct asset_body *ret_body)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
	struct asset_body body = { 0 };
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		error = -EINVAL;
	else if ((uint64_t)st.st_size > room)
		error = -EFBIG;
	else if (!(body.bytes = malloc((size_t)st.st_size + 1)))
		error = -ENOMEM;
	while (!error && body.len_bytes < (size_t)st.st_size) {
		n = read(fd, body.bytes + body.len_bytes, (size_t)st.st_size - body.len_bytes);
		if (n <= 0)
			error = n ? -errno : -EIO; /* it shrank meanwhile */
		else
			body.len_bytes += (size_t)n;
	}
	close(fd);
	if (error) {
		free(body.bytes);
		return error;
	}
	etag_of_bytes(body.bytes, body.len_bytes, body.etag);
	*ret_body = body;
	return 0;
}

static int add_file(struct assets *assets, int dir_fd, const char *name, size_t *total)
{
	size_t len = strlen(name);
	bool gzip = len > 3 && strcmp(name + len - 3, ".gz") == 0;
	struct asset_body body;
	struct asset *asset;
	int error;

	if (name[strspn(name, NAME_CHARACTERS)] || len >= ASSET_NAME_MAX)
		return -EINVAL;
	len -= gzip ? 3 : 0;
	asset = find(assets, name, len);
	if (!asset && assets->count == ASSETS_MAX)
		return -ENOSPC;
	error = read_file(dir_fd, name, ASSETS_BYTES_MAX - *total, &body);
	if (error)
		return error;
	if (!asset) {
		asset = &assets->at[assets->count++];
		snprintf(asset->name, sizeof asset->name, "%.*s", (int)len, name);
		asset->content_type = content_type_of(asset->name);
		asset->immutable = asset_name_has_hash(asset->name);
	}
	*(gzip ? &asset->gzip : &asset->plain) = body;
	*total += body.len_bytes;
	return 0;
}

static void read_dir(struct assets *assets, DIR *dir)
{
	const struct dirent *entry;
	size_t total = 0;
	int error;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		error = add_file(assets, dirfd(dir), entry->d_name, &total);
		if (error)
			log_warning("not served as a part of the dashboard: %s: %s", log_quoted(entry->d_name), strerror(-error));
	}
	log_info("dashboard files=%u bytes=%zu", assets->count, total);
}

static int open_default(void)
{
	static const char *const places[] = { "web", "../share/lunette/web" };
	char path[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	char *slash;
	int fd = -ENOENT;

	if (n <= 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && fd < 0 && i < sizeof places / sizeof places[0]; i++) {
		strcpy(slash + 1, places[i]);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? -ENOENT : fd;
}

int assets_open(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : open_default();

	return path && fd < 0 ? -errno : fd;
}

int assets_read(struct assets *assets, int dir_fd, struct err *err)
{
	DIR *dir = fdopendir(dir_fd);
	int rc;

	memset(assets, 0, sizeof *assets);
	if (!dir) {
		rc = err_errno(err, -errno, "cannot read the dashboard");
		close(dir_fd);
		return rc;
	}
	read_dir(assets, dir);
	closedir(dir);
	return 0;
}

int assets_load(struct assets *assets, const char *path, struct err *err)
{
	int fd = assets_open(path);

	memset(assets, 0, sizeof *assets);
	if (fd < 0)
		return path ? err_errno(err, fd, "cannot read the dashboard in %s", path) : 0;
	return assets_read(assets, fd, err);
}

void assets_free(struct assets *assets)
{
	for (unsigned i = 0; i < assets->count; i++) {
		free(assets->at[i].plain.bytes);
		free(assets->at[i].gzip.bytes);
	}
	assets->count = 0;
}

void answer_asset(struct request *rq, const struct asset *asset)
{
	bool gzip = asset->gzip.bytes && encoding_accepted(rq->accept_encoding, "gzip");
	const struct asset_body *body = gzip ? &asset->gzip : &asset->plain;
	struct answer *a = &rq->answer;
	char *copy;

	a->policy = page_policy;
	a->vary = asset->gzip.bytes ? "Accept-Encoding" : NULL;
	strcpy(a->etag, body->etag);
	strcpy(a->cache_control, asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	if (rq->if_none_match[0] && etag_listed(rq->if_none_match, body->etag)) {
		answer_nothing(rq, 304);
		return;
	}
	a->content_encoding = gzip ? "gzip" : NULL;
	copy = malloc(body->len_bytes + 1);
	if (copy)
		memcpy(copy, body->bytes, body->len_bytes);
	answer_bytes(rq, 200, asset->content_type, copy, body->len_bytes);
}

void get_asset(struct request *rq)
{
	const struct asset *asset = assets_find(&rq->service->assets, request_param(rq, 0));

	if (asset)
		answer_asset(rq, asset);
	else
		answer_error(rq, 404, "not-found", "The dashboard has no such file.");
}
