/*
 * Answers from the files and from rows that are not in them yet, on one grid. On the history's thread only. files: NULL, none.
 *
 *  archives of a file   |<- 600 s ... ->|
 *                             |<- 60 s ... ->|
 *                                   |<- 10 s ->|
 *                                         |1 s |  pending rows
 *  asked for             from ----------------------------> to
 *
 * Each part of the range is read from the coarsest archive whose rows divide the step, where that one reaches; what is older
 * from the finest that still has it; the newest part, which coarse archives do not have yet, from finer ones and at last from
 * the pending rows.
 */
#ifndef LUNETTE_MONITOR_HISTORY_QUERY_H
#define LUNETTE_MONITOR_HISTORY_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/history.h"
#include "monitor/history_files.h"

/* 0; -ENOENT with *ret_missing; -E2BIG: beyond SERIES_MAX, SERIES_POINTS_MAX or SERIES_VALUES_MAX; -ENOMEM. */
int history_answer_series(struct history_files *files, const struct series_query *query, struct history_rows *const *pending,
			  int64_t now_s, struct object_name *ret_missing, struct series_set **ret_set);
/* 0, -ENOENT, -ENOMEM. */
int history_answer_heat(struct history_files *files, const struct object_name *object, bool reads, bool writes,
			int64_t from_s, int64_t to_s, const struct history_rows *pending, int64_t now_s,
			struct heat_map **ret_map);

#endif
