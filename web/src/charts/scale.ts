/*
 * A y axis with breaks, from the segments of the reduction (monitor/reduction.h): value to height and back, ticks and the
 * outline of a break. Pure.
 */
import { ticks, valueText } from "./format";

/* Which part of the height a region may take before it is shrunk. */
export const THRESHOLD_MIN = 0.25, THRESHOLD_MAX = 0.95, THRESHOLD_DEFAULT = 0.6;

export interface Segment {
	from_value: number;
	to_value: number;
	from_height: number; /* 0 to 1 of the plot */
	to_height: number;
	factor: number;      /* 1: true scale; more: a break, drawn that many times smaller */
}

export const isBreak = (segment: Segment) => segment.factor > 1;

/* Beyond the ends the last segment goes on, so that the way back is exact. */
export function heightOf(segments: Segment[], value: number): number {
	const s = segments.find((segment) => value <= segment.to_value) ?? segments[segments.length - 1]!;
	const span = s.to_value - s.from_value;
	return span > 0 ? s.from_height + (value - s.from_value) / span * (s.to_height - s.from_height) : s.to_height;
}

export function valueOf(segments: Segment[], height: number): number {
	const s = segments.find((segment) => height <= segment.to_height) ?? segments[segments.length - 1]!;
	const span = s.to_height - s.from_height;
	return span > 0 ? s.from_value + (height - s.from_height) / span * (s.to_value - s.from_value) : s.to_value;
}

/* "1 : 18,400": three significant digits. */
export function factorText(factor: number): string {
	return "1 : " + Number(factor.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 2 });
}

/* "20.8 GiB to 31.2 TiB is drawn 1 : 14,400": a break with its true ends. */
export function breakText(segment: Segment, unit: string): string {
	return `${valueText(segment.from_value, unit)} to ${valueText(segment.to_value, unit)} is drawn ${factorText(segment.factor)}`;
}

const TICK_PX = 32, LABEL_PX = 11; /* wished and least distance of labels */

/* Where an axis of some pixels gets labels: both ends of each break, then ticks at true scale where there is room. */
export function brokenTicks(segments: Segment[], pixels: number, unit: string): number[] {
	const kept: number[] = [];
	const put = (value: number) => {
		const height = heightOf(segments, value);
		if (kept.every((other) => Math.abs(heightOf(segments, other) - height) * pixels >= LABEL_PX))
			kept.push(value);
	};
	segments.filter(isBreak).forEach((s) => [s.from_value, s.to_value].forEach(put));
	for (const s of segments.filter((segment) => !isBreak(segment)))
		ticks(s.from_value, s.to_value, Math.max((s.to_height - s.from_height) * pixels / TICK_PX, 1), unit).forEach(put);
	return kept.sort((a, b) => a - b);
}

/* A zigzag from x0 to x1 around y: [x, y] corners. */
export function zigzag(x0: number, x1: number, y: number, tooth: number, depth: number): [number, number][] {
	const count = Math.max(2, Math.round((x1 - x0) / tooth));
	const points: [number, number][] = [];
	for (let i = 0; i <= count; i++)
		points.push([x0 + (x1 - x0) * i / count, y + (i % 2 ? depth : -depth) / 2]);
	return points;
}
