/* Hash table from names to pointers: filled once, then read by any thread. Borrows the names. */
#ifndef LUNETTE_ISCSI_NAME_MAP_H
#define LUNETTE_ISCSI_NAME_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

struct name_map {
	struct name_map_slot { const char *name; void *value; } *slots;
	uint32_t mask; /* number of slots - 1, at least twice as many as names */
};

/* Room for `count` names. False: no memory. */
static inline bool name_map_init(struct name_map *map, size_t count)
{
	uint32_t room = 4;

	while (room < 2 * count)
		room *= 2;
	map->mask = room - 1;
	map->slots = calloc(room, sizeof *map->slots);
	return map->slots != NULL;
}

static inline void name_map_fini(struct name_map *map)
{
	free(map->slots);
	map->slots = NULL;
}

/* The slot of that name, or the free one where it would be. */
static inline struct name_map_slot *name_map_slot(const struct name_map *map, const char *name)
{
	uint32_t hash = hash_text(name);

	while (map->slots[hash & map->mask].name && strcmp(map->slots[hash & map->mask].name, name) != 0)
		hash++;
	return &map->slots[hash & map->mask];
}

/* No more names than name_map_init() was told. An earlier value of the same name is replaced. */
static inline void name_map_put(struct name_map *map, const char *name, void *value)
{
	*name_map_slot(map, name) = (struct name_map_slot){ name, value };
}

/* NULL when there is none, or nothing was ever put in. */
static inline void *name_map_find(const struct name_map *map, const char *name)
{
	return map->slots ? name_map_slot(map, name)->value : NULL;
}

#endif
