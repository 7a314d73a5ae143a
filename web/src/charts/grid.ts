/* Series on one grid of time, and how live samples go on with it. Pure. */
import type { Schema } from "../api/client";
import { type LiveBucket, bucketAdd, bucketValue } from "./range";

/* Value i is for (from + i * step_s, from + (i + 1) * step_s]; null: unknown, a gap. */
export type SeriesSet = Schema["SeriesSet"];
export type Series = Schema["Series"];
export type Sample = Schema["LiveSample"];

export const seriesKey = (series: { object: string; metric: string }) => `${series.object}/${series.metric}`;

/* The ends of the intervals: where values are drawn. */
export function gridTimes(set: SeriesSet): number[] {
	const count = set.series[0]?.values.length ?? 0;
	return Array.from({ length: count }, (_, i) => set.from + (i + 1) * set.step_s);
}

/* The index of the interval that a time lies in, -1 outside. */
export function gridIndex(set: SeriesSet, time: number): number {
	const i = Math.ceil((time - set.from) / set.step_s) - 1;
	return i >= 0 && i < (set.series[0]?.values.length ?? 0) ? i : -1;
}

/*
 * A set that moves: the newest interval grows from the samples of each second, older ones fall off at the left. What the
 * history already knew of the newest interval is replaced as soon as a sample is there.
 */
export class LiveGrid {
	now: number;
	private buckets = new Map<string, LiveBucket>();
	private open = -1;

	constructor(public set: SeriesSet, private seconds: number) {
		this.set = { ...set, series: set.series.map((series) => ({ ...series, values: [...series.values] })) };
		this.now = set.to;
	}

	/* false: time went backwards, or so far that the picture must be asked for anew. */
	add(sample: Sample): boolean {
		const time = sample.time_ms / 1000;
		const { step_s: step, series } = this.set;
		const count = () => series[0]?.values.length ?? 0;
		if (time < this.now - step || time > this.now + Math.max(60, 3 * step))
			return false;
		this.now = Math.max(this.now, time);
		let index = Math.ceil((time - this.set.from) / step) - 1;
		for (; count() <= index; this.set.to = this.set.from + count() * step)
			series.forEach((s) => s.values.push(null));
		for (; this.set.from + step <= this.now - this.seconds && count() > 1; this.set.from += step, index--) {
			series.forEach((s) => s.values.shift());
			this.open--;
		}
		if (index !== this.open)
			this.buckets.clear();
		this.open = index;
		this.fill(sample, index);
		return true;
	}

	private fill(sample: Sample, index: number): void {
		const objects = new Map(sample.samples.map((one) => [one.object, one.values]));
		for (const series of this.set.series) {
			const key = seriesKey(series);
			const bucket = bucketAdd(this.buckets.get(key), objects.get(series.object)?.[series.metric]);
			if (!bucket)
				continue;
			this.buckets.set(key, bucket);
			series.values[index] = bucketValue(bucket, this.set.cf);
		}
	}
}

/* Objects of a wildcard among `asked` that the stream tells of and the set does not know. */
export function hasNewObjects(set: SeriesSet, sample: Sample, asked: string[]): boolean {
	const known = new Set(set.series.map((series) => series.object));
	return sample.samples.some((one) => !known.has(one.object) &&
		asked.includes(one.object.slice(0, one.object.indexOf(":")) + ":*"));
}

/* Values without neighbours: a line cannot show them, a dot can. */
export function isolated(values: ArrayLike<number | null | undefined>): number[] {
	const list: number[] = [];
	const there = (i: number) => values[i] !== null && values[i] !== undefined;
	for (let i = 0; i < values.length; i++)
		if (there(i) && !there(i - 1) && !there(i + 1))
			list.push(i);
	return list;
}

/* The newest value that is known within the last few intervals. */
export function newest(values: (number | null)[]): number | null {
	for (let i = values.length - 1; i >= Math.max(0, values.length - 3); i--)
		if (values[i] !== null && values[i] !== undefined)
			return values[i]!;
	return null;
}
