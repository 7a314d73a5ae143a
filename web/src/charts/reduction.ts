/*
 * The reduction of monitor/reduction.c for lines that the browser draws: the same steps and constants. Group charts never
 * come here, they are drawn from the server's segments. Pure.
 */
import { type Segment, THRESHOLD_MAX, THRESHOLD_MIN } from "./scale";

const BREAKS_MAX = 2, BREAK_HEIGHT = 0.08, MARGIN = 0.03;
const ROUNDING = 1e-12; /* a region that is the threshold but for rounding is not above it */

interface Gap { from: number; to: number }

/* Height of one unit of value where nothing shrinks; cuts in order of values. Infinite when nothing is left beside them. */
function slopeOf(max: number, cuts: Gap[]): number {
	let rest = 0, from = 0;
	for (const cut of cuts) {
		rest += cut.from - from;
		from = cut.to;
	}
	return (1 - cuts.length * (BREAK_HEIGHT + 2 * MARGIN)) / (rest + (max - from));
}

function widest(data: number[], cuts: Gap[]): Gap | null {
	let best: Gap | null = null;
	for (let i = 0; i + 1 < data.length; i++) {
		const gap = { from: data[i]!, to: data[i + 1]! };
		if (!cuts.some((cut) => cut.from === gap.from) && gap.to - gap.from > (best ? best.to - best.from : 0))
			best = gap;
	}
	return best;
}

function segmentsOf(max: number, cuts: Gap[]): Segment[] {
	const slope = slopeOf(max, cuts), margin = MARGIN / slope;
	const segments: Segment[] = [];
	let start = 0, height = 0; /* where the true scale begins, margin included */
	const put = (to: number, toHeight: number, factor: number) => {
		const last = segments[segments.length - 1];
		segments.push({ from_value: last?.to_value ?? 0, to_value: to, from_height: last?.to_height ?? 0, to_height: toHeight, factor });
	};
	for (const cut of cuts) {
		const from = cut.from + margin, to = cut.to - margin;
		const edge = height + (cut.from - start) * slope + MARGIN;
		put(from, edge, 1);
		put(to, edge + BREAK_HEIGHT, (to - from) * slope / BREAK_HEIGHT);
		height += (cut.from - start) * slope + BREAK_HEIGHT + 2 * MARGIN;
		start = cut.to;
	}
	put(max, 1, 1);
	return segments;
}

/* data: different, ascending, the last above 0. */
export function reductionCompute(data: number[], threshold: number): Segment[] {
	const max = data[data.length - 1]!;
	const limit = Math.min(Math.max(threshold, THRESHOLD_MIN), THRESHOLD_MAX) * (1 + ROUNDING);
	let cuts: Gap[] = [];
	while (cuts.length < BREAKS_MAX) {
		const gap = widest(data, cuts);
		if (!gap || (gap.to - gap.from) * slopeOf(max, cuts) <= limit)
			break;
		const next = [...cuts, gap].sort((a, b) => a.from - b.from);
		if (!Number.isFinite(max * slopeOf(max, next) / BREAK_HEIGHT))
			break; /* nothing else is left that could become larger */
		cuts = next;
	}
	return segmentsOf(max, cuts);
}

/* The axis of some series; null when there is nothing to draw. */
export function reductionOf(lists: (number | null)[][], threshold: number): Segment[] | null {
	const known = lists.flat().filter((v): v is number => v !== null && Number.isFinite(v) && v >= 0);
	const data = [...new Set(known)].sort((a, b) => a - b);
	return data.length > 0 && data[data.length - 1]! > 0 ? reductionCompute(data, threshold) : null;
}
