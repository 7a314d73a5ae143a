/*
 * The group chart (a component has two usage data; a region that would dwarf the rest is shrunk): drawn from the segments
 * and graphics of the server, whose picture is the same. Heights are never computed here.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Schema } from "../api/client";
import { getJson, requestUrl } from "./client";
import { valueText } from "./format";
import { type Segment, breakText, brokenTicks, factorText, heightOf, isBreak, zigzag } from "./scale";
import type { GroupState } from "./state";
import { isDark } from "./theme";
import { ThresholdSlider } from "./toolbar";

type GroupData = Schema["GroupChart"];
type GroupComponent = Schema["GroupComponent"];

/* As in the query of the server: seconds since 1970, "-3600s", "now". */
export interface When { from: string; to: string }

const groupParams = (state: GroupState, when: When | undefined): Record<string, string | undefined> => ({
	group: state.group, data: state.data, metric: state.data === "peak" ? state.metric : undefined,
	threshold: String(state.threshold), reduction: state.reduction ? "on" : "off",
	...(state.data === "capacity" ? {} : when),
});

interface Box { left: number; right: number; top: number; bottom: number }

const AXIS = 76, FOOT = 58, SLOT_MIN = 64, SLOT_MAX = 160;
const yOf = (box: Box, height: number) => box.bottom - height * (box.bottom - box.top);
const path = (points: [number, number][]) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

function Axis({ data, box }: { data: GroupData; box: Box }) {
	const text = (value: number) => valueText(value, data.unit);
	/* the ends of two breaks may read alike */
	const list = brokenTicks(data.segments, box.bottom - box.top, data.unit)
		.filter((value, i, all) => !i || text(value) !== text(all[i - 1]!));
	return <g class="group-axis" aria-hidden="true">
		{list.map((value) => {
			const y = yOf(box, heightOf(data.segments, value));
			return <g key={value}><line x1={box.left} x2={box.right} y1={y} y2={y} />
				<text x={box.left - 8} y={y + 4} text-anchor="end">{text(value)}</text></g>;
		})}
	</g>;
}

/* What is drawn smaller, as on the server. */
function Hatch() {
	return <defs><pattern id="group-hatch" class="group-hatch" width="6" height="6" patternUnits="userSpaceOnUse"
		patternTransform="rotate(45)"><rect width="6" height="6" /><line x1="0" y1="0" x2="0" y2="6" /></pattern></defs>;
}

/* The band of a break over the whole axis: all components share it, and bars are seen to go on over it. */
function Band({ segment, box }: { segment: Segment; box: Box }) {
	const edge = (height: number) => zigzag(box.left, box.right, yOf(box, height), 6, 3);
	const { from_height: low, to_height: high } = segment;
	return <g class="group-break" data-testid="group-break" data-factor={segment.factor} aria-hidden="true">
		<rect fill="url(#group-hatch)" x={box.left} width={box.right - box.left} y={yOf(box, high)}
			height={yOf(box, low) - yOf(box, high)} />
		<path class="group-edge" d={path(edge(high))} />
		<path class="group-edge" d={path(edge(low))} />
	</g>;
}

function BandLabel({ segment, box, unit, seen }: { segment: Segment; box: Box; unit: string; seen: number }) {
	const x = (box.left + seen) / 2;
	const text = seen - box.left < 400 ? factorText(segment.factor) : breakText(segment, unit), width = text.length * 6.8 + 10;
	const y = yOf(box, (segment.from_height + segment.to_height) / 2);
	return <g aria-hidden="true"><rect class="group-label-box" x={x - width / 2} y={y - 9} width={width} height="18" rx="3" />
		<text class="group-factor" x={x} y={y + 4} text-anchor="middle">{text}</text></g>;
}

function barText(component: GroupComponent, data: GroupData): string {
	const third = component.graphics.filter((graphic) => graphic.kind === "third").map((graphic) => graphic.label);
	return `${component.label}: ${data.first_name} ${valueText(component.first, data.unit)}, ` +
		`${data.second_name} ${valueText(component.second, data.unit)}` +
		(third.length ? `; a part is drawn smaller, ${third.join(" and ")}` : "");
}

const BAR_CLASS = { first: "group-first", second: "group-second", third: "group-third" };

function Bar({ component, data, box, x, width, chosen, onFocus }: { component: GroupComponent; data: GroupData; box: Box;
		x: number; width: number; chosen: boolean; onFocus(): void }) {
	return <g class={chosen ? "group-bar group-chosen" : "group-bar"} role="img" tabIndex={0} aria-label={barText(component, data)}
		onFocus={onFocus} onMouseEnter={onFocus}>
		<rect class="group-hit" x={x - 6} y={box.top} width={width + 12} height={box.bottom - box.top} />
		{component.graphics.map((graphic, i) => <rect key={i} class={BAR_CLASS[graphic.kind]}
			x={x} width={width}
			y={yOf(box, graphic.to_height)}
			height={Math.max(yOf(box, graphic.from_height) - yOf(box, graphic.to_height), 0.5)} />)}
		{component.first === null && component.second === null &&
			<text class="group-unknown" x={x + width / 2} y={box.bottom - 8} text-anchor="middle">unknown</text>}
		<text class="group-label" x={x + width / 2} y={box.bottom + 16} text-anchor="middle">{shorten(component.label, width)}</text>
		<text class="group-used" x={x + width / 2} y={box.bottom + 31} text-anchor="middle">{valueText(component.first, data.unit)}</text>
		<text class="group-sub" x={x + width / 2} y={box.bottom + 46} text-anchor="middle">{valueText(component.second, data.unit)}</text>
	</g>;
}

function shorten(text: string, width: number): string {
	const room = Math.floor((width + 14) / 7);
	return text.length <= room ? text : "…" + text.slice(text.length - room + 1);
}

function useWidth() {
	const ref = useRef<HTMLDivElement>(null);
	const [width, setWidth] = useState(0);
	useEffect(() => {
		const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
		observer.observe(ref.current!);
		return () => observer.disconnect();
	}, []);
	return { ref, width };
}

function Picture({ data, height }: { data: GroupData; height: number }) {
	const { ref, width } = useWidth();
	const [chosen, setChosen] = useState("");
	const count = Math.max(data.components.length, 1);
	const slot = Math.min(Math.max((width - AXIS - 12) / count, SLOT_MIN), SLOT_MAX);
	const full = Math.max(width, AXIS + 12 + slot * count);
	const box: Box = { left: AXIS, right: full - 12, top: 10, bottom: height - FOOT };
	const bar = Math.min(slot * 0.6, 72), breaks = data.segments.filter(isBreak);

	return <div class="group-picture" ref={ref}>
		{width > 0 && <svg width={full} height={height} viewBox={`0 0 ${full} ${height}`} role="group" aria-label={data.title}>
			<Hatch />
			<Axis data={data} box={box} />
			{breaks.map((segment) => <Band key={segment.from_value} segment={segment} box={box} />)}
			{data.components.map((component, i) => <Bar key={component.object} component={component} data={data} box={box}
				x={box.left + slot * (i + 0.5) - bar / 2} width={bar} chosen={chosen === component.object}
				onFocus={() => setChosen(component.object)} />)}
			{breaks.map((segment) => <BandLabel key={segment.from_value} segment={segment} box={box} unit={data.unit}
				seen={Math.min(width, full)} />)}
		</svg>}
	</div>;
}

function Key({ data }: { data: GroupData }) {
	return <ul class="group-key">
		<li><i class="group-first" /> {data.first_name}</li>
		<li><i class="group-second" /> {data.second_name}</li>
		{data.breaks > 0 && <li><i class="group-hatched" /> hatched: drawn smaller by the factor in it</li>}
	</ul>;
}

function NumbersTable({ data }: { data: GroupData }) {
	return <details class="group-table">
		<summary>The same as a table</summary>
		<div class="chart-scroll"><table>
			<thead><tr><th scope="col">Object</th><th scope="col">{data.first_name}</th><th scope="col">{data.second_name}</th>
				<th scope="col">Drawn smaller by</th></tr></thead>
			<tbody>{data.components.map((component) => <tr key={component.object}>
				<th scope="row">{component.label}</th>
				<td>{valueText(component.first, data.unit)}</td><td>{valueText(component.second, data.unit)}</td>
				<td>{component.graphics.filter((g) => g.kind === "third").map((g) => g.label).join(", ") || "–"}</td>
			</tr>)}</tbody>
		</table></div>
	</details>;
}

const REFRESH_MS = 10000;

function useGroup(state: GroupState, when: When | undefined, live: boolean) {
	const [data, setData] = useState<GroupData | null>(null);
	const [error, setError] = useState("");
	const [turn, setTurn] = useState(0);
	const query = JSON.stringify(groupParams(state, when));

	useEffect(() => {
		const abort = new AbortController();
		const read = () => void getJson<GroupData>("/api/v1/charts/group", groupParams(state, when), abort.signal).then(
			(next) => { setData(next); setError(""); },
			(problem: Error) => { if (!abort.signal.aborted) setError(problem.message); });
		const delay = window.setTimeout(read, 60);
		const timer = live ? window.setInterval(() => { if (!document.hidden) read(); }, REFRESH_MS) : 0;
		return () => { abort.abort(); window.clearTimeout(delay); window.clearInterval(timer); };
	}, [query, turn, live]);
	return { data, error, retry: () => setTurn((n) => n + 1) };
}

function Scale({ state, onChange }: { state: GroupState; onChange(next: GroupState): void }) {
	return <div class="group-scale">
		<ThresholdSlider threshold={state.threshold} disabled={!state.reduction}
			onChange={(threshold) => onChange({ ...state, threshold })} />
		<button type="button" onClick={() => onChange({ ...state, reduction: !state.reduction })}>
			{state.reduction ? "Full scale" : "Break the axis"}</button>
	</div>;
}

export interface GroupChartProps {
	state: GroupState;
	when?: When;         /* of now and peak, of reads and writes; absent: the last hour */
	live?: boolean;      /* asked for again every ten seconds */
	height?: number;
	onChange?(next: GroupState): void; /* absent: the chart keeps threshold and scale itself */
}

export function GroupChart(props: GroupChartProps) {
	const [own, setOwn] = useState<Partial<GroupState>>({});
	const state = { ...props.state, ...own };
	const change = props.onChange ?? ((next: GroupState) => setOwn({ threshold: next.threshold, reduction: next.reduction }));
	const { data, error, retry } = useGroup(state, props.when, props.live ?? false);
	const picture = { ...groupParams(state, props.when), width: "1000", height: "420",
		theme: isDark() ? "dark" : "light" };

	return <section class="chart group-chart" data-testid="group-chart">
		<header>
			<h2>{data?.title ?? "Group"}</h2>
			{data && <span class="chart-note">{data.breaks > 0 ? "axis broken" : state.reduction ? "nothing to break" : "full scale"}
			</span>}
			<nav aria-label="Group chart: files for a ticket">
				<a href={requestUrl("/api/v1/charts/group.svg", picture)} target="_blank" rel="noopener">SVG</a>
				<a href={requestUrl("/api/v1/charts/group.png", picture)} target="_blank" rel="noopener">PNG</a>
			</nav>
		</header>
		<Scale state={state} onChange={change} />
		{error && <div class="chart-problem" role="alert"><p>{error}</p><button type="button" onClick={retry}>Try again</button>
		</div>}
		{!data && !error && <p class="chart-wait" aria-live="polite">Reading …</p>}
		{data && data.components.length === 0 && <p class="chart-empty">There is nothing in this group yet.</p>}
		{data && data.components.length > 0 && <>
			<Picture data={data} height={props.height ?? 360} />
			<Key data={data} />
			{data.left_out > 0 && <p class="chart-caption">{data.left_out} smaller ones are left out.</p>}
			<NumbersTable data={data} />
		</>}
	</section>;
}
