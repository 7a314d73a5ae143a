/* A world whose documents are on disk, and the ways in which it starts again and finds them. */
#ifndef LUNETTE_TESTS_SCSI_DOCUMENTS_H
#define LUNETTE_TESTS_SCSI_DOCUMENTS_H

#include <unistd.h>

#include "tests/unit/cluster/scratch.h"
#include "tests/unit/scsi/check.h"

static char root[64];
static struct world_options options; /* what the world was made with; a test changes it before renew_world() */

static inline int begin_with(struct world_options wanted)
{
	scratch_make(root, sizeof root);
	wanted.documents = docstore_open(root, "test", NULL);
	assert_non_null(wanted.documents);
	options = wanted;
	world_init(&world, &options);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	world_fini(&world);
	docstore_close(options.documents);
	scratch_remove(root);
	return 0;
}

/* The daemon starts again: what was in memory is gone, the medium, too. */
static inline void renew_world(void)
{
	world_fini(&world);
	world_init(&world, &options);
}

/* A new world on another store. */
static inline void with_store(const char *kind, const char *params)
{
	options.store_kind = kind;
	options.store_params = params;
	renew_world();
}

/* The LU is closed and opened again, by so many attempts at most; the medium stays. */
static inline void restart_within(unsigned attempts)
{
	struct err err = { 0 };

	for (unsigned i = 0; i < WORLD_NEXUSES; i++)
		world_drop_nexus(&world, i);
	scsi_inventory_unref(world.inventory);
	scsi_lu_free(world.lu);
	world.lu = NULL;
	for (unsigned i = 0; !world.lu && i < attempts; i++)
		world.lu = scsi_lu_new(world.lun, &world.services, &err);
	assert_non_null(world.lu);
	world_nexuses(&world);
}

static inline void restart(void)
{
	restart_within(1);
}

static inline void document_name(const char *kind, char ret[64])
{
	snprintf(ret, 64, "%s/%s", kind, lun_attributes(world.lun)->id);
}

/* What is written about the LUN in its document of this kind; NULL: nothing. New reference. */
static inline json_t *document_of(const char *kind)
{
	json_t *content = NULL;
	uint64_t version;
	char name[64];

	document_name(kind, name);
	assert_int_equal(docstore_load(options.documents, name, &content, &version, NULL), 0);
	return content;
}

#define DOCUMENTS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
