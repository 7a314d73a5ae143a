/*
 * What control holds, once more from the disk: after a change of which it is not known whether it was published, or of which
 * not everything could be read back. On an offload thread; tried again until it succeeds.
 */
#ifndef LUNETTE_API_REFRESH_H
#define LUNETTE_API_REFRESH_H

#include <jansson.h>

#include "api/loop.h"
#include "err.h"
#include "offload.h"

#define REFRESH_AGAIN_MS 1000

struct service;

struct refresh {
	struct service *service;
	struct offload_job job;
	struct loop_timer timer;
	bool reading, wanted;
	/* written by the job */
	json_t *config, *secrets, *maps;
	uint64_t config_version, secrets_version;
	int rc;
	struct err err;
};

void refresh_init(struct refresh *refresh, struct service *service);
void refresh_fini(struct refresh *refresh); /* the pool is gone */
void refresh_want(struct refresh *refresh);

#endif
