/* Ranges of time, zoom and the grid of live samples. Pure. */

export interface Range { name: string; title: string; seconds: number }
export interface Span { from: number; to: number }

const MINUTE = 60, HOUR = 3600, DAY = 86400;

export const RANGES: Range[] = [
	{ name: "5m", title: "5 min", seconds: 5 * MINUTE },
	{ name: "15m", title: "15 min", seconds: 15 * MINUTE },
	{ name: "1h", title: "1 h", seconds: HOUR },
	{ name: "6h", title: "6 h", seconds: 6 * HOUR },
	{ name: "24h", title: "24 h", seconds: DAY },
	{ name: "7d", title: "7 d", seconds: 7 * DAY },
	{ name: "30d", title: "30 d", seconds: 30 * DAY },
	{ name: "1y", title: "1 y", seconds: 365 * DAY },
	{ name: "2y", title: "2 y", seconds: 2 * 365 * DAY },
];

export const SPAN_MIN_S = 10;
export const SPAN_MAX_S = 3 * 366 * DAY;

export function rangeOf(name: string): Range {
	return RANGES.find((range) => range.name === name) ?? RANGES[2]!;
}

/* A span that was dragged or zoomed: whole seconds, never shorter than SPAN_MIN_S, never in the future. */
export function spanClamp(span: Span, now: number): Span {
	let from = Math.floor(Math.min(span.from, span.to));
	let to = Math.ceil(Math.max(span.from, span.to));
	if (to - from < SPAN_MIN_S) {
		from = Math.floor((from + to - SPAN_MIN_S) / 2);
		to = from + SPAN_MIN_S;
	}
	const late = Math.max(0, to - Math.floor(now));
	from -= late;
	to -= late;
	return { from: Math.max(from, to - SPAN_MAX_S), to };
}

/* factor < 1: closer; `at` stays where it is in the picture. */
export function spanZoom(span: Span, factor: number, at: number, now: number): Span {
	return spanClamp({ from: at - (at - span.from) * factor, to: at + (span.to - at) * factor }, now);
}

/* One series of a grid that live samples go on: value i is for (start + i * step, start + (i + 1) * step]. */
export interface LiveBucket { sum: number; count: number; max: number }

export function bucketAdd(bucket: LiveBucket | undefined, value: number | null | undefined): LiveBucket | undefined {
	if (value === null || value === undefined || !Number.isFinite(value))
		return bucket;
	return bucket ? { sum: bucket.sum + value, count: bucket.count + 1, max: Math.max(bucket.max, value) }
		: { sum: value, count: 1, max: value };
}

export function bucketValue(bucket: LiveBucket | undefined, cf: "average" | "max"): number | null {
	return bucket ? (cf === "max" ? bucket.max : bucket.sum / bucket.count) : null;
}
