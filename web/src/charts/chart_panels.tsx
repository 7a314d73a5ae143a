/* Panels of the same objects and time, one below the other, with one crosshair. */
import { useMemo, useState } from "preact/hooks";
import { requestUrl } from "./client";
import { type Zone, objectLabel, spanCaption, spanText, timeText } from "./format";
import { type Series, type SeriesSet, gridTimes, seriesKey } from "./grid";
import { type MarkGroup, groupMarks } from "./marks";
import { type Panel, kindOf, lineStyle, panelsOf } from "./panels";
import { AXIS_WIDTH, Crosshair, type Line, PLOT_RIGHT } from "./plot";
import type { Span } from "./range";
import { reductionOf } from "./reduction";
import { isBreak } from "./scale";
import { TimeChart } from "./time_chart";
import { isDark } from "./theme";
import { useMarks } from "./use_marks";
import { type SeriesQuery, type SeriesState, seriesParams } from "./use_series";

export interface ChartPanelsProps {
	query: SeriesQuery;
	state: SeriesState;
	panels: Panel[];
	zone: Zone;
	reduction: boolean;
	threshold: number;
	hidden: string[];
	height?: number;
	onZoom(span: Span): void;
	onReset(): void;
	onHidden(hidden: string[]): void;
}

const MARK_PX = 22; /* wide, of a panel that takes at least half of the window */

function linesOf(panel: Panel, set: SeriesSet): Line[] {
	const all = set.series.filter((series) => panel.metrics.includes(series.metric));
	const objects = [...new Set(all.map((series) => series.object))];
	const mixed = new Set(objects.map(kindOf)).size > 1;
	const single = new Set(all.map((series) => series.metric)).size === 1;
	const label = (series: Series) => objects.length === 1 ? series.title
		: objectLabel(series.object, mixed) + (single ? "" : `, ${series.title.toLowerCase()}`);

	return all.map((series) => ({
		key: seriesKey(series), object: series.object, label: label(series), unit: series.unit, meaning: series.meaning,
		values: series.values,
		...lineStyle(objects.indexOf(series.object), objects.length, panel.metrics.indexOf(series.metric)),
	}));
}

/* The same numbers as files of the server, for a ticket. */
function linksOf(panel: Panel, props: ChartPanelsProps): { label: string; href: string }[] {
	const query = seriesParams({ ...props.query, metrics: panel.metrics });
	const picture = { ...query, width: "1000", theme: isDark() ? "dark" : "light",
		...(props.reduction ? { reduction: "on", threshold: String(props.threshold) } : {}) };
	return [
		{ label: "SVG", href: requestUrl(`/api/v1/charts/${panel.chart}.svg`, picture) },
		{ label: "PNG", href: requestUrl(`/api/v1/charts/${panel.chart}.png`, picture) },
		{ label: "CSV", href: requestUrl("/api/v1/series.csv", query) },
	];
}

function markTitle(group: MarkGroup, step: number, zone: Zone): string {
	const lines = group.marks.slice(-8).map((mark) =>
		`${timeText(mark.time, Math.min(step, 1), zone)}: ${mark.object}, ${mark.text}`);
	const more = group.marks.length - lines.length;
	return (group.marks.length > 1 ? `${group.marks.length} events: ` : "") + (more > 0 ? `${more} earlier; ` : "") + lines.join("; ");
}

/* What happened, in the first panel: a button at each place. */
function MarkStrip({ groups, span, step, zone }: { groups: MarkGroup[]; span: Span; step: number; zone: Zone }) {
	const [open, setOpen] = useState<number | null>(null);
	const shown = groups.find((group) => group.at === open);

	return <div class="chart-marks" role="group" aria-label="Events">
		<div class="chart-marks-line" style={{ marginLeft: `${AXIS_WIDTH}px`, marginRight: `${PLOT_RIGHT}px` }}>
			{groups.map((group) => <button key={group.at} type="button" aria-expanded={group.at === open}
				style={{ left: `${(group.at - span.from) / (span.to - span.from) * 100}%` }}
				aria-label={markTitle(group, step, zone)} title={markTitle(group, step, zone)}
				onClick={() => setOpen(group.at === open ? null : group.at)}>
				{group.marks.length > 1 ? group.marks.length : ""}
			</button>)}
		</div>
		{shown && <ul class="chart-marks-text">
			{shown.marks.map((mark) => <li key={`${mark.time} ${mark.text}`}>
				<time>{timeText(mark.time, 1, zone)}</time> <code>{mark.object}</code> {mark.text}
			</li>)}
		</ul>}
	</div>;
}

function PanelOf({ panel, props, set, crosshair, groups, first }: { panel: Panel; props: ChartPanelsProps; set: SeriesSet;
		crosshair: Crosshair; groups: MarkGroup[]; first: boolean }) {
	const { state } = props;
	const times = useMemo(() => gridTimes(set), [set, state.version]);
	const lines = useMemo(() => linesOf(panel, set), [panel, set, state.version]);
	const hidden = useMemo(() => new Set(props.hidden), [props.hidden]);
	const segments = useMemo(() => props.reduction
		? reductionOf(lines.filter((line) => !hidden.has(line.key)).map((line) => line.values), props.threshold) : null,
		[lines, props.reduction, props.threshold, hidden]);
	const broken = segments?.some(isBreak) ? segments : null;

	if (lines.length === 0)
		return null;
	return <TimeChart title={panel.title} lines={lines} times={times} step={set.step_s} span={state.span} now={state.now}
		zone={props.zone} hidden={hidden} segments={broken} markTimes={groups.map((group) => group.at)} crosshair={crosshair}
		height={props.height} links={linksOf(panel, props)} note={broken ? "axis broken" : props.reduction ? `no gap above ${Math.round(props.threshold * 100)} % of the height` : ""}
		above={first && groups.length > 0 && <MarkStrip groups={groups} span={state.span} step={set.step_s} zone={props.zone} />}
		onZoom={props.onZoom} onReset={props.onReset} onHidden={props.onHidden} />;
}

export function ChartPanels(props: ChartPanelsProps) {
	const { state } = props;
	const [crosshair] = useState(() => new Crosshair());
	const all = useMarks();
	const objects = props.query.objects.map(kindOf);
	const groups = useMemo(() => groupMarks(all, state.span.from, state.span.to, MARK_PX / (window.innerWidth / 2)), [all, state.span]);
	const { set } = state;

	if (state.error)
		return <div class="chart-problem" role="alert"><p>{state.error}</p>
			<button type="button" onClick={state.retry}>Try again</button></div>;
	if (!set)
		return <p class="chart-wait" aria-live="polite">{state.loading ? "Reading the history …" : ""}</p>;
	if (set.series.length === 0)
		return <p class="chart-empty">There is no history of these objects in this time.</p>;
	return <div class="chart-panels" aria-busy={state.loading}>
		<p id="chart-keys" class="hidden">Arrow keys move the crosshair, with Shift ten steps; plus and minus zoom,
			Escape shows the whole range.</p>
		<p class="chart-caption">{spanCaption(state.span, props.zone)}; a point is the {set.cf === "max" ? "largest" : "average"} of {spanText(set.step_s)}</p>
		{panelsOf(objects.map((kind) => `${kind}:x`), props.panels.map((panel) => panel.name)).map((panel, i) =>
			<PanelOf key={panel.name} panel={panel} props={props} set={set} crosshair={crosshair} groups={groups}
				first={i === 0} />)}
	</div>;
}
