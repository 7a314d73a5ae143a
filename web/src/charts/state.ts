/*
 * What the charts page shows, as the query of the URL's hash and back: #/charts?object=lun:a,lun:b&chart=iops&range=6h.
 * Whatever is not understood falls back to the default; defaults are left out. Pure.
 */
import type { Zone } from "./format";
import { PANELS } from "./panels";
import { RANGES, type Span } from "./range";
import { THRESHOLD_DEFAULT, THRESHOLD_MAX, THRESHOLD_MIN } from "./scale";

export interface GroupState {
	group: string;      /* luns, target:IQN, targets, workers, hosts */
	data: "capacity" | "peak" | "read_write";
	metric: string;     /* of peak */
	threshold: number;
	reduction: boolean;
}

export interface ChartState {
	view: "time" | "group";
	objects: string[];
	charts: string[];
	range: string;      /* of RANGES */
	zoom: Span | null;  /* what of it was brushed; such a picture does not move */
	cf: "average" | "max";
	live: boolean;
	zone: Zone;
	reduction: boolean; /* of time charts */
	hidden: string[];   /* "OBJECT/METRIC" */
	group: GroupState;
}

export const DEFAULT_STATE: ChartState = {
	view: "time", objects: [], charts: ["throughput", "iops", "latency"], range: "1h", zoom: null, cf: "average",
	live: true, zone: "local", reduction: false, hidden: [],
	group: { group: "luns", data: "capacity", metric: "read_iops", threshold: THRESHOLD_DEFAULT, reduction: true },
};

/* Commas separate; the rest of what a name may hold is escaped once for the list and once for the query. */
function listText(list: string[]): string {
	return list.map((item) => item.replace(/%/g, "%25").replace(/,/g, "%2C")).join(",");
}

function listParse(text: string): string[] {
	const items = text.split(",").filter(Boolean).map((item) => item.replace(/%2C/g, ",").replace(/%25/g, "%"));
	return [...new Set(items)];
}

const readable = (text: string) => encodeURIComponent(text).replace(/%(3A|2C|2F|2A)/g, (c) => decodeURIComponent(c));

function groupText(state: GroupState, put: (name: string, value: string, standard: string) => void): void {
	const standard = DEFAULT_STATE.group;
	put("group", state.group, standard.group);
	put("data", state.data, standard.data);
	if (state.data === "peak")
		put("metric", state.metric, standard.metric);
	put("threshold", String(state.threshold), String(standard.threshold));
	put("scale", state.reduction ? "reduced" : "full", "reduced");
}

/* Without the "?"; "" for the default. */
export function stateQuery(state: ChartState): string {
	const parts: string[] = [];
	const standard = DEFAULT_STATE;
	const put = (name: string, value: string, usual: string) => {
		if (value !== usual)
			parts.push(`${name}=${readable(value)}`);
	};
	put("view", state.view, standard.view);
	put("object", listText(state.objects), "");
	put("chart", listText(state.charts), listText(standard.charts));
	put("range", state.range, standard.range);
	put("from", state.zoom ? String(state.zoom.from) : "", "");
	put("to", state.zoom ? String(state.zoom.to) : "", "");
	put("cf", state.cf, standard.cf);
	put("live", state.live ? "on" : "off", "on");
	put("zone", state.zone, standard.zone);
	put("reduction", state.reduction ? "on" : "off", "off");
	put("hide", listText(state.hidden), "");
	groupText(state.group, put);
	return parts.join("&");
}

function numberOf(text: string | null): number {
	return text && /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
}

function groupParse(query: URLSearchParams): GroupState {
	const standard = DEFAULT_STATE.group;
	const group = query.get("group") ?? "";
	const data = query.get("data");
	const threshold = numberOf(query.get("threshold"));
	return {
		group: /^(luns|target:.+|targets|workers|hosts)$/.test(group) ? group : standard.group,
		data: data === "peak" || data === "read_write" ? data : "capacity",
		metric: /^[a-z0-9_]+$/.test(query.get("metric") ?? "") ? query.get("metric")! : standard.metric,
		threshold: threshold >= THRESHOLD_MIN && threshold <= THRESHOLD_MAX ? threshold : standard.threshold,
		reduction: query.get("scale") !== "full",
	};
}

export function stateParse(text: string): ChartState {
	const query = new URLSearchParams(text);
	const standard = DEFAULT_STATE;
	const charts = listParse(query.get("chart") ?? "").filter((name) => PANELS.some((panel) => panel.name === name));
	const from = numberOf(query.get("from")), to = numberOf(query.get("to"));
	const range = query.get("range") ?? "";
	return {
		view: query.get("view") === "group" ? "group" : "time",
		objects: listParse(query.get("object") ?? "").filter((name) => /^(lun|target|session|worker|host):./.test(name)),
		charts: charts.length ? charts : standard.charts,
		range: RANGES.some((r) => r.name === range) ? range : standard.range,
		zoom: from < to ? { from, to } : null,
		cf: query.get("cf") === "max" ? "max" : "average",
		live: query.get("live") !== "off",
		zone: query.get("zone") === "utc" ? "utc" : "local",
		reduction: query.get("reduction") === "on",
		hidden: listParse(query.get("hide") ?? ""),
		group: groupParse(query),
	};
}

export function isLive(state: ChartState): boolean {
	return state.live && !state.zoom;
}
