/*
 * One panel's uPlot: lines on a common grid, a y axis that may be broken, marks, the crosshair of all panels. The picture
 * is made anew when its lines change; data, span, theme and size only flow through.
 */
import uPlot from "uplot";
import { type Zone, tickSteps, tickTimes, valueText } from "./format";
import { isolated } from "./grid";
import type { Span } from "./range";
import { type Segment, breakText, brokenTicks, factorText, heightOf, isBreak, valueOf, zigzag } from "./scale";

export interface Line {
	key: string;        /* OBJECT/METRIC */
	object: string;
	label: string;
	unit: string;
	meaning: string;
	values: (number | null)[];
	colour: number;
	dash: number[];
}

/* The time that all panels of a group point at; null: none. */
export class Crosshair {
	time: number | null = null;
	private listeners = new Set<(time: number | null) => void>();

	set(time: number | null): void {
		if (time === this.time)
			return;
		this.time = time;
		this.listeners.forEach((listener) => listener(time));
	}

	watch(listener: (time: number | null) => void): () => void {
		this.listeners.add(listener);
		return () => void this.listeners.delete(listener);
	}
}

/* What the drawing functions read at each drawing. */
export interface PlotInput {
	times: number[];
	lines: Line[];
	span: Span;
	zone: Zone;
	unit: string;
	hidden: Set<string>;
	segments: Segment[] | null; /* null: the axis is not broken */
	markTimes: number[];
}

export interface PlotHooks {
	crosshair: Crosshair;
	onZoom(span: Span): void;
	onReset(): void;
}

export const AXIS_WIDTH = 76, PLOT_RIGHT = 12;
const BRUSH_MIN_PX = 5, LABEL_PX = 360; /* what the text of a break needs */

export function colourOf(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "gray";
}

const font = () => `12px ${getComputedStyle(document.body).fontFamily}`;

function strokePath(u: uPlot, points: [number, number][], colour: string, width: number): void {
	const { ctx } = u;
	ctx.strokeStyle = colour;
	ctx.lineWidth = width * devicePixelRatio;
	ctx.beginPath();
	points.forEach(([x, y], i) => i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y));
	ctx.stroke();
}

function hatch(u: uPlot, left: number, top: number, width: number, height: number): void {
	const { ctx } = u;
	ctx.beginPath();
	ctx.rect(left, top, width, height);
	ctx.clip();
	ctx.fillStyle = colourOf("--surface");
	ctx.fill();
	for (let x = left - height; x < left + width; x += 8 * devicePixelRatio)
		strokePath(u, [[x, top + height], [x + height, top]], colourOf("--chart-hatch"), 1.5);
}

function labelBox(u: uPlot, x: number, y: number, text: string): void {
	const { ctx } = u;
	ctx.font = `600 ${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
	const width = ctx.measureText(text).width + 10 * devicePixelRatio;
	ctx.fillStyle = colourOf("--surface");
	ctx.fillRect(x - width / 2, y - 8 * devicePixelRatio, width, 16 * devicePixelRatio);
	ctx.fillStyle = colourOf("--text");
	ctx.textBaseline = "middle";
	ctx.textAlign = "center";
	ctx.fillText(text, x, y);
}

/* The band of a break: nothing is drawn inside, two zigzags, its true ends and how much smaller it is. */
function drawBreak(u: uPlot, segment: Segment, unit: string): void {
	const { ctx, bbox } = u;
	const y = (height: number) => bbox.top + bbox.height * (1 - height);
	const top = y(segment.to_height), bottom = y(segment.from_height);

	ctx.save();
	ctx.save();
	hatch(u, bbox.left, top, bbox.width, bottom - top);
	ctx.restore();
	for (const edge of [top, bottom])
		strokePath(u, zigzag(bbox.left, bbox.left + bbox.width, edge, 6 * devicePixelRatio, 3 * devicePixelRatio),
			colourOf("--text"), 1.2);
	labelBox(u, bbox.left + bbox.width / 2, (top + bottom) / 2,
		bbox.width < LABEL_PX * devicePixelRatio ? factorText(segment.factor) : breakText(segment, unit));
	ctx.restore();
}

function drawMarks(u: uPlot, times: number[]): void {
	const { ctx, bbox } = u;
	ctx.save();
	ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
	for (const time of times) {
		const x = u.valToPos(time, "x", true);
		if (x >= bbox.left && x <= bbox.left + bbox.width)
			strokePath(u, [[x, bbox.top], [x, bbox.top + bbox.height]], colourOf("--chart-mark"), 1);
	}
	ctx.restore();
}

function yScale(input: () => PlotInput): uPlot.Scale {
	const range: uPlot.Range.Function = (_, __, max) => {
		const { segments, unit } = input();
		if (segments)
			return [0, segments[segments.length - 1]!.to_value];
		return [0, max > 0 ? max * 1.05 : unit === "seconds" ? 0.001 : 1];
	};
	return input().segments ? { distr: 100, range, auto: true, fwd: (value) => heightOf(input().segments!, value),
		bwd: (height) => valueOf(input().segments!, height) } : { distr: 1, range };
}

function yAxis(input: () => PlotInput): uPlot.Axis {
	const axis: uPlot.Axis = {
		size: AXIS_WIDTH, space: 32, gap: 6, font: font(), stroke: () => colourOf("--chart-text"),
		grid: { stroke: () => colourOf("--chart-grid"), width: 1 }, ticks: { show: false },
		incrs: tickSteps(input().unit),
		values: (_, splits) => splits.map((value) => value === null ? "" : valueText(value, input().unit)),
	};
	if (input().segments) {
		axis.filter = (_, splits) => splits;
		axis.splits = (u) => brokenTicks(input().segments!, u.bbox.height / devicePixelRatio, input().unit);
	}
	return axis;
}

const M = 60, H = 3600, D = 86400;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 3 * D,
	7 * D, 14 * D, 30 * D, 61 * D, 91 * D, 182 * D, 365 * D];

function xAxis(input: () => PlotInput): uPlot.Axis {
	return {
		size: 42, space: 60, gap: 6, incrs: TIME_STEPS, font: font(), stroke: () => colourOf("--chart-text"),
		grid: { stroke: () => colourOf("--chart-grid"), width: 1 },
		ticks: { stroke: () => colourOf("--chart-axis"), width: 1, size: 4 },
		values: (_, splits, __, ___, step) => tickTimes(splits, step, input().zone),
	};
}

function seriesOf(line: Line, input: () => PlotInput): uPlot.Series {
	const stroke = () => colourOf(`--chart-${line.colour}`);
	return {
		label: line.label, scale: "y", stroke, width: 1.6, dash: line.dash, spanGaps: false,
		show: !input().hidden.has(line.key),
		points: { show: true, size: 5, fill: stroke, stroke, filter: (u, i) => isolated(u.data[i] as (number | null)[]) },
	};
}

export const plotData = (input: PlotInput): uPlot.AlignedData => [input.times, ...input.lines.map((line) => line.values)];

/* input() is asked at each drawing; the lines, their unit and whether the axis is broken must stay as they were. */
export function makePlot(host: HTMLElement, size: { width: number; height: number }, input: () => PlotInput,
			 hooks: PlotHooks): { plot: uPlot; destroy(): void } {
	let quiet = false;
	const onCursor = (u: uPlot) => {
		const index = u.cursor.idx;
		if (!quiet)
			hooks.crosshair.set((u.cursor.left ?? -1) < 0 || index == null ? null : u.data[0][index] ?? null);
	};
	const onSelect = (u: uPlot) => {
		const { left, width } = u.select;
		u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
		if (width >= BRUSH_MIN_PX)
			hooks.onZoom({ from: u.posToVal(left, "x"), to: u.posToVal(left + width, "x") });
	};
	const plot = new uPlot({
		...size,
		legend: { show: false },
		padding: [10, PLOT_RIGHT, 0, 0],
		tzDate: (time) => input().zone === "utc" ? uPlot.tzDate(new Date(time * 1000), "Etc/UTC") : new Date(time * 1000),
		cursor: {
			y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false, dist: BRUSH_MIN_PX },
			bind: { dblclick: () => () => { hooks.onReset(); return null; } },
		},
		scales: { x: { time: true, range: () => [input().span.from, input().span.to] }, y: yScale(input) },
		axes: [xAxis(input), yAxis(input)],
		series: [{}, ...input().lines.map((line) => seriesOf(line, input))],
		hooks: {
			setCursor: [onCursor],
			setSelect: [onSelect],
			draw: [(u) => {
				drawMarks(u, input().markTimes);
				input().segments?.filter(isBreak).forEach((segment) => drawBreak(u, segment, input().unit));
			}],
		},
	}, plotData(input()), host);
	const unwatch = hooks.crosshair.watch((time) => {
		quiet = true;
		plot.setCursor({ left: time === null ? -10 : plot.valToPos(time, "x"), top: time === null ? -10 : 1 }, false);
		quiet = false;
	});
	return { plot, destroy() { unwatch(); plot.destroy(); } };
}
