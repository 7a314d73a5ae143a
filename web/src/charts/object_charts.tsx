/* The panels of one object, for its own page: range, live and zoom are the component's, a link leads to the charts page. */
import { useMemo, useState } from "preact/hooks";
import { ChartPanels } from "./chart_panels";
import { panelsOf } from "./panels";
import { rangeOf, spanClamp } from "./range";
import { type ChartState, DEFAULT_STATE, isLive, stateQuery } from "./state";
import { Toolbar } from "./toolbar";
import { useSeries } from "./use_series";

const USUAL = ["throughput", "iops", "latency", "write_latency", "queue", "errors", "capacity", "cpu", "memory", "state"];

export interface ObjectChartsProps {
	object: string;       /* "lun:vol1" */
	charts?: string[];    /* names of PANELS; absent: what fits the kind */
	range?: string;       /* at first: "15m" */
	height?: number;
}

export function ObjectCharts({ object, charts = USUAL, range = "15m", height = 160 }: ObjectChartsProps) {
	const [state, setState] = useState<ChartState>({ ...DEFAULT_STATE, range });
	const panels = useMemo(() => panelsOf([object], charts), [object, charts.join()]);
	const query = useMemo(() => ({ objects: [object], metrics: panels.flatMap((panel) => panel.metrics),
		seconds: rangeOf(state.range).seconds, zoom: state.zoom, cf: state.cf, live: isLive(state) }),
		[object, panels, state.range, state.zoom, state.cf, state.live]);
	const series = useSeries(query);
	const change = (next: Partial<ChartState>) => setState((old) => ({ ...old, ...next }));
	const hash = `#/charts?${stateQuery({ ...state, objects: [object], charts: panels.map((panel) => panel.name) })}`;

	return <div class="object-charts">
		<Toolbar state={state} stream={series.stream} hash={hash} onChange={change} />
		<ChartPanels query={query} state={series} panels={panels} zone={state.zone} reduction={false} threshold={1}
			hidden={state.hidden} height={height} onZoom={(span) => change({ zoom: spanClamp(span, series.now) })}
			onReset={() => change({ zoom: null })} onHidden={(hidden) => change({ hidden })} />
		<p><a href={hash}>Compare with others</a></p>
	</div>;
}
