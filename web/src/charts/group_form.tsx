/* Which group is drawn, by which two data. */
import { useEffect, useState } from "preact/hooks";
import type { Schema } from "../api/client";
import { getJson } from "./client";
import { RANGES } from "./range";
import type { ChartState, GroupState } from "./state";

type MetricRow = Pick<Schema["Metric"], "name" | "title" | "objects">;

const GROUPS: [string, string, string][] = [ /* name, title, kind of its components */
	["luns", "All LUNs", "lun"], ["targets", "Targets", "target"], ["workers", "Workers", "worker"], ["hosts", "Hosts", "host"],
];
const DATA: [GroupState["data"], string][] = [
	["capacity", "Capacity: used and provisioned"], ["peak", "Now and peak"], ["read_write", "Reads and writes"],
];

const kindOfGroup = (group: string) => GROUPS.find(([name]) => name === group)?.[2] ?? "lun";

function useLists() {
	const [targets, setTargets] = useState<string[]>([]);
	const [metrics, setMetrics] = useState<MetricRow[]>([]);
	useEffect(() => {
		getJson<{ items: { name: string }[] }>("/api/v1/targets", { limit: "500" })
			.then((list) => setTargets(list.items.map((item) => item.name)), () => undefined);
		getJson<Schema["MetricList"]>("/api/v1/metrics").then((list) => setMetrics(list.items), () => undefined);
	}, []);
	return { targets, metrics };
}

export function GroupForm({ state, onChange }: { state: ChartState; onChange(next: Partial<ChartState>): void }) {
	const { targets, metrics } = useLists();
	const { group } = state;
	const change = (part: Partial<GroupState>) => onChange({ group: { ...group, ...part } });
	const kind = kindOfGroup(group.group);
	const known = metrics.filter((metric) => (metric.objects as string[]).includes(kind));
	const target = group.group.startsWith("target:") && !targets.includes(group.group.slice(7)) ? [group.group.slice(7)] : [];

	return <div class="chart-toolbar group-form">
		<label>Group <select value={group.group} onChange={(event) => change({ group: event.currentTarget.value })}>
			{GROUPS.map(([name, title]) => <option key={name} value={name}>{title}</option>)}
			{[...target, ...targets].map((name) => <option key={name} value={`target:${name}`}>LUNs of {name}</option>)}
		</select></label>
		<label>Data <select value={group.data}
			onChange={(event) => change({ data: event.currentTarget.value as GroupState["data"] })}>
			{DATA.map(([name, title]) => <option key={name} value={name}>{title}</option>)}
		</select></label>
		{group.data === "peak" && <label>Metric <select value={group.metric}
			onChange={(event) => change({ metric: event.currentTarget.value })}>
			{(known.length ? known : [{ name: group.metric, title: group.metric, objects: [] }]).map((metric) =>
				<option key={metric.name} value={metric.name}>{metric.title}</option>)}
		</select></label>}
		{group.data !== "capacity" && <label>Over <select value={state.range}
			onChange={(event) => onChange({ range: event.currentTarget.value, zoom: null })}>
			{RANGES.map((range) => <option key={range.name} value={range.name}>{range.title}</option>)}
		</select></label>}
	</div>;
}
