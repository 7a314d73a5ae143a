/* #/charts: any objects and panels over time, or a group as one graphic. Its whole state is the URL. */
import { useMemo } from "preact/hooks";
import { Head } from "../ui/page";
import { ChartPanels } from "./chart_panels";
import { GroupChart } from "./group_chart";
import { GroupForm } from "./group_form";
import { PANELS, panelsOf } from "./panels";
import { Picker, useChoices } from "./picker";
import { rangeOf, spanClamp } from "./range";
import { ServerChart } from "./server_chart";
import { type ChartState, isLive } from "./state";
import { CopyLink, Toolbar } from "./toolbar";
import { useUrlState } from "./url_state";
import { type SeriesQuery, seriesParams, useSeries } from "./use_series";

const DEFAULT_OBJECTS = ["host:*"];

function queryOf(state: ChartState, objects: string[]): SeriesQuery {
	const panels = panelsOf(objects, state.charts);
	return { objects, metrics: [...new Set(panels.flatMap((panel) => panel.metrics))], seconds: rangeOf(state.range).seconds,
		zoom: state.zoom, cf: state.cf, live: isLive(state) };
}

function PanelChoice({ state, objects, onChange }: { state: ChartState; objects: string[];
		onChange(next: Partial<ChartState>): void }) {
	const toggle = (name: string) => {
		const next = state.charts.includes(name) ? state.charts.filter((one) => one !== name) : [...state.charts, name];
		if (next.length > 0)
			onChange({ charts: PANELS.filter((panel) => next.includes(panel.name)).map((panel) => panel.name) });
	};
	return <div class="chart-choice chart-kinds" role="group" aria-label="Panels">
		{panelsOf(objects).map((panel) => <button key={panel.name} type="button"
			aria-pressed={state.charts.includes(panel.name)} onClick={() => toggle(panel.name)}>{panel.title}</button>)}
	</div>;
}

function TimeView({ state, change }: { state: ChartState; change(next: Partial<ChartState>): void }) {
	const objects = state.objects.length ? state.objects : DEFAULT_OBJECTS;
	const list = useChoices();
	const query = useMemo(() => queryOf(state, objects), [state]);
	const series = useSeries(query);
	const lun = objects.length === 1 && objects[0]!.startsWith("lun:") && !objects[0]!.endsWith(":*") ? objects[0]! : "";

	return <>
		<Picker list={list} chosen={objects} onChange={(next) => change({ objects: next, hidden: [] })} />
		<PanelChoice state={state} objects={objects} onChange={change} />
		<Toolbar state={state} stream={series.stream} reduction onChange={change} />
		<ChartPanels query={query} state={series} panels={panelsOf(objects, state.charts)} zone={state.zone}
			reduction={state.reduction} threshold={state.group.threshold} hidden={state.hidden}
			onZoom={(span) => change({ zoom: spanClamp(span, series.now) })} onReset={() => change({ zoom: null })}
			onHidden={(hidden) => change({ hidden })} />
		{lun && state.charts.includes("latency") && <ServerChart chart="heatmap" title="Latency heat map"
			query={{ object: lun, from: String(series.span.from), to: String(series.span.to) }} />}
	</>;
}

function GroupView({ state, change }: { state: ChartState; change(next: Partial<ChartState>): void }) {
	const { from, to } = seriesParams(queryOf(state, []));
	return <>
		<GroupForm state={state} onChange={change} />
		<GroupChart state={state.group} when={{ from, to }} live={isLive(state)} height={420} onChange={(group) => change({ group })} />
		<div class="chart-toolbar"><CopyLink /></div>
	</>;
}

export function ChartsPage() {
	const [state, change] = useUrlState();
	return <div class="charts-page">
		<Head title="Charts" />
		<div class="chart-choice chart-views" role="group" aria-label="View">
			<button type="button" aria-pressed={state.view === "time"} onClick={() => change({ view: "time" })}>Over time</button>
			<button type="button" aria-pressed={state.view === "group"} onClick={() => change({ view: "group" })}>Group</button>
		</div>
		{state.view === "time" ? <TimeView state={state} change={change} /> : <GroupView state={state} change={change} />}
	</div>;
}
