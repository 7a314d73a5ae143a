/*
 * The reduction factor of group charts (VIZ-1 to VIZ-6; US10289455B2): how values become heights of a graphic, so that a
 * component whose usage is far from the others does not make them unreadable. Pure.
 *
 *   height 1 |        .- second break, when one is not enough
 *            |       /
 *            |  ____/   <- break: (from, to) is drawn `factor` times smaller; no datum lies inside
 *            | /
 *          0 +------------ value
 *
 * The regions that may shrink are those between neighbouring data (from the least datum on: what lies below all data is
 * never cut). One whose part of the full-scale height is above the threshold is cut to REDUCTION_BREAK_HEIGHT, with
 * REDUCTION_MARGIN of true scale on both sides, so that the ends of bars stay visible; then the scale is computed anew with
 * the space gained, and once more a region above the threshold is cut. A break belongs to the axis: all components share it.
 * At or below the threshold nothing shrinks.
 */
#ifndef LUNETTE_MONITOR_REDUCTION_H
#define LUNETTE_MONITOR_REDUCTION_H

#include <stdbool.h>
#include <stddef.h>

#define REDUCTION_BREAKS_MAX        2
#define REDUCTION_THRESHOLD_DEFAULT 0.6  /* of the height */
#define REDUCTION_THRESHOLD_MIN     0.25
#define REDUCTION_THRESHOLD_MAX     0.95
#define REDUCTION_BREAK_HEIGHT      0.08 /* of the height */
#define REDUCTION_MARGIN            0.03

/* A component of the group. NAN (and what is negative or infinite): missing. */
struct reduction_item {
	double first, second;
};

struct reduction_segment {
	double from_value, to_value;   /* in the unit of the data */
	double from_height, to_height; /* 0 to 1 */
	double factor;                 /* 1: true scale; more: a break, drawn that many times smaller than its neighbours */
};

struct reduction {
	struct reduction_segment segment[2 * REDUCTION_BREAKS_MAX + 1]; /* from value 0 on, without gaps */
	unsigned count;                /* at least 1 */
	unsigned breaks;
	double max_value;              /* the largest datum; 1 when there is none or all are 0 */
};

/* threshold: part of the height, clamped to MIN..MAX; 1 or more: full scale, nothing shrinks. 0 or -ENOMEM. */
int reduction_compute(const struct reduction_item *items, size_t count, double threshold, struct reduction *ret_reduction);
/* 0 to 1; continuous and strictly increasing between 0 and max_value; NAN for what is missing, clamped beyond. */
double reduction_height(const struct reduction *reduction, double value);

#endif
