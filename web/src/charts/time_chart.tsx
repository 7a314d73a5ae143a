/* A panel: title, plot, legend. The plot is a slider for keyboard and screen reader: its value is the crosshair's time. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { type Zone, timeText, valueText } from "./format";
import { newest } from "./grid";
import { type Crosshair, type Line, type PlotInput, makePlot, plotData } from "./plot";
import { type Span, spanZoom } from "./range";
import type { Segment } from "./scale";
import { watchTheme } from "./theme";

export interface TimeChartProps {
	title: string;
	note?: string;
	lines: Line[];
	times: number[];
	step: number;
	span: Span;
	now: number;
	zone: Zone;
	hidden: Set<string>;
	segments: Segment[] | null;
	markTimes: number[];
	crosshair: Crosshair;
	height?: number;
	links?: { label: string; href: string }[];
	above?: ComponentChildren; /* between title and plot, as wide as this */
	onZoom(span: Span): void;
	onReset(): void;
	onHidden(hidden: string[]): void;
}

function indexAt(times: number[], time: number | null): number {
	if (time === null || times.length === 0)
		return -1;
	const step = times.length > 1 ? times[1]! - times[0]! : 1;
	const index = Math.round((time - times[0]!) / step);
	return index >= 0 && index < times.length ? index : -1;
}

function useCrosshair(crosshair: Crosshair): number | null {
	const [time, setTime] = useState(crosshair.time);
	useEffect(() => {
		let frame = 0;
		const end = crosshair.watch((next) => {
			cancelAnimationFrame(frame);
			frame = requestAnimationFrame(() => setTime(next));
		});
		return () => { end(); cancelAnimationFrame(frame); };
	}, [crosshair]);
	return time;
}

const valueAt = (line: Line, index: number) => index < 0 ? newest(line.values) : line.values[index] ?? null;

function summary(line: Line): string {
	const known = line.values.filter((value): value is number => value !== null && value !== undefined);
	if (known.length === 0)
		return "";
	const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
	const most = known.reduce((max, value) => Math.max(max, value), 0);
	return `mean ${valueText(mean, line.unit)}, max ${valueText(most, line.unit)}`;
}

export function Swatch({ colour, dash }: { colour: number; dash: number[] }) {
	return <svg class={`chart-swatch chart-c${colour}`} width="26" height="8" viewBox="0 0 26 8" aria-hidden="true">
		<line x1="0" y1="4" x2="26" y2="4" stroke-dasharray={dash.join(" ")} />
	</svg>;
}

function Legend({ lines, index, hidden, onHidden }: { lines: Line[]; index: number } &
		Pick<TimeChartProps, "hidden" | "onHidden">) {
	const click = (line: Line, solo: boolean) => {
		const others = lines.filter((other) => other !== line).map((other) => other.key);
		const rest = [...hidden].filter((key) => !lines.some((other) => other.key === key));
		const alone = !hidden.has(line.key) && others.every((key) => hidden.has(key));
		if (solo)
			return onHidden(alone ? rest : [...rest, ...others]);
		const next = new Set(hidden);
		if (!next.delete(line.key))
			next.add(line.key);
		onHidden([...next]);
	};
	return <ul class="chart-legend">
		{lines.map((line) => <li key={line.key}>
			<button type="button" aria-pressed={!hidden.has(line.key)} title={`${line.meaning}. Shift: only this one.`}
				onClick={(event) => click(line, event.shiftKey)}>
				<Swatch colour={line.colour} dash={line.dash} />
				<span class="chart-label">{line.label}</span>
				<b>{valueText(valueAt(line, index), line.unit)}</b>
				<small>{summary(line)}</small>
			</button>
		</li>)}
	</ul>;
}

function readout(props: TimeChartProps, time: number | null, index: number): string {
	const shown = props.lines.filter((line) => !props.hidden.has(line.key)).slice(0, 12);
	const values = shown.map((line) => `${line.label} ${valueText(valueAt(line, index), line.unit)}`).join(", ");
	return `${index < 0 || time === null ? "newest" : timeText(time, props.step, props.zone)}: ${values}`;
}

function onKey(event: KeyboardEvent, props: TimeChartProps): void {
	const { times, crosshair, span, now } = props;
	const at = indexAt(times, crosshair.time);
	const go = (index: number) => crosshair.set(times[Math.max(0, Math.min(times.length - 1, index))] ?? null);
	const stride = event.shiftKey ? 10 : 1;
	const zoom = (factor: number) => props.onZoom(spanZoom(span, factor, crosshair.time ?? (span.from + span.to) / 2, now));
	const keys: Record<string, () => void> = {
		ArrowLeft: () => go((at < 0 ? times.length : at) - stride),
		ArrowRight: () => go((at < 0 ? -1 : at) + stride),
		PageUp: () => go((at < 0 ? times.length : at) - 50),
		PageDown: () => go((at < 0 ? -1 : at) + 50),
		Home: () => go(0),
		End: () => go(times.length - 1),
		"+": () => zoom(0.5),
		"=": () => zoom(0.5),
		"-": () => zoom(2),
		Escape: () => { crosshair.set(null); props.onReset(); },
	};
	const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
	if (!action)
		return;
	event.preventDefault();
	action();
}

/* Makes the plot anew when `shape` changes; else lets new input flow through. */
function usePlot(props: TimeChartProps, shape: string) {
	const host = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const latest = useRef(props);
	latest.current = props;
	const height = Math.round((props.height ?? 200) * (props.segments ? 1.5 : 1));

	useEffect(() => {
		const input = (): PlotInput => ({ ...latest.current, unit: latest.current.lines[0]?.unit ?? "1" });
		const made = makePlot(host.current!, { width: host.current!.clientWidth, height }, input, {
			crosshair: props.crosshair,
			onZoom: (span) => latest.current.onZoom(span),
			onReset: () => latest.current.onReset(),
		});
		const resized = new ResizeObserver(([entry]) => made.plot.setSize({ width: Math.floor(entry!.contentRect.width), height }));
		const unwatch = watchTheme(() => made.plot.redraw(false, true));
		resized.observe(host.current!);
		plot.current = made.plot;
		return () => { resized.disconnect(); unwatch(); made.destroy(); plot.current = null; };
	}, [shape, height, props.crosshair]);

	useEffect(() => {
		const u = plot.current;
		if (!u)
			return;
		props.lines.forEach((line, i) => {
			if (u.series[i + 1] && u.series[i + 1]!.show === props.hidden.has(line.key))
				u.setSeries(i + 1, { show: !props.hidden.has(line.key) });
		});
		u.setData(plotData({ ...props, unit: "" }), true);
	});
	return host;
}

export function TimeChart(props: TimeChartProps) {
	const shape = useMemo(() => [props.segments ? "broken" : "whole",
		...props.lines.map((line) => `${line.key} ${line.unit} ${line.colour} ${line.dash}`)].join("|"),
		[props.lines, props.segments === null]);
	const host = usePlot(props, shape);
	const time = useCrosshair(props.crosshair);
	const index = indexAt(props.times, time);
	const known = props.lines.some((line) => line.values.some((value) => value !== null));

	return <section class="chart" data-testid="chart">
		<header>
			<h2>{props.title}</h2>
			{props.note && <span class="chart-note">{props.note}</span>}
			{props.links && <nav aria-label={`${props.title}: files for a ticket`}>
				{props.links.map((link) => <a key={link.label} href={link.href} target="_blank" rel="noopener">{link.label}</a>)}
			</nav>}
		</header>
		{props.above}
		<div class="chart-plot" ref={host} tabIndex={0} role="slider" aria-label={`${props.title}, time`}
			aria-describedby="chart-keys" aria-orientation="horizontal"
			aria-valuemin={props.span.from} aria-valuemax={props.span.to}
			aria-valuenow={Math.min(Math.max(time ?? props.span.to, props.span.from), props.span.to)}
			aria-valuetext={readout(props, time, index)} onKeyDown={(event) => onKey(event, props)}>
			{!known && <p class="chart-empty">Nothing was measured in this time.</p>}
		</div>
		<Legend lines={props.lines} index={index} hidden={props.hidden} onHidden={props.onHidden} />
	</section>;
}
