/*
 * The reduction of monitor/reduction.c for lines that the browser draws: the same steps and constants. Group charts never
 * come here, they are drawn from the server's segments. Pure.
 */
import type { Segment } from "./scale";

const BREAKS_MAX = 2, BREAK_HEIGHT = 0.08, MARGIN = 0.03;

interface Gap { from: number; to: number }

/* Height of one unit of value where nothing shrinks: what the breaks and their margins leave, over what is not cut. */
function unitHeight(max: number, cuts: Gap[]): number {
	const cut = cuts.reduce((sum, gap) => sum + gap.to - gap.from, 0);
	return (1 - cuts.length * (BREAK_HEIGHT + 2 * MARGIN)) / (max - cut);
}

function largestGap(data: number[], cuts: Gap[]): Gap | null {
	let largest: Gap | null = null;
	for (let i = 0; i + 1 < data.length; i++) {
		const gap = { from: data[i]!, to: data[i + 1]! };
		if (!cuts.some((cut) => cut.from === gap.from) && (!largest || gap.to - gap.from > largest.to - largest.from))
			largest = gap;
	}
	return largest;
}

function segmentsOf(max: number, cuts: Gap[]): Segment[] {
	const unit = unitHeight(max, cuts), margin = MARGIN / unit;
	const segments: Segment[] = [];
	let value = 0, height = 0;
	const put = (to: number, toHeight: number, factor: number) => {
		segments.push({ from_value: value, to_value: to, from_height: height, to_height: toHeight, factor });
		value = to;
		height = toHeight;
	};
	for (const gap of cuts.sort((a, b) => a.from - b.from)) {
		const from = gap.from + margin, to = gap.to - margin;
		put(from, height + (from - value) * unit, 1);
		put(to, height + BREAK_HEIGHT, (to - from) * unit / BREAK_HEIGHT);
	}
	put(max, 1, 1);
	return segments;
}

/* data: different, ascending, the last above 0. */
export function reductionCompute(data: number[], threshold: number): Segment[] {
	const max = data[data.length - 1]!, cuts: Gap[] = [];
	while (cuts.length < BREAKS_MAX) {
		const gap = largestGap(data, cuts);
		if (!gap || (gap.to - gap.from) * unitHeight(max, cuts) <= threshold)
			break;
		cuts.push(gap);
	}
	return segmentsOf(max, cuts);
}

/* The axis of some series; null when there is nothing to draw. */
export function reductionOf(lists: (number | null)[][], threshold: number): Segment[] | null {
	const known = lists.flat().filter((v): v is number => v !== null && Number.isFinite(v) && v >= 0);
	const data = [...new Set(known)].sort((a, b) => a - b);
	return data.length > 0 && data[data.length - 1]! > 0 ? reductionCompute(data, threshold) : null;
}
