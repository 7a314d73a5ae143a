/*
 * The panels: which metrics are drawn together, for which kinds of objects. `chart` is the server's chart of the same
 * numbers (SVG and PNG for a ticket).
 */
export type Kind = "lun" | "target" | "session" | "worker" | "host";

export interface Panel { name: string; title: string; metrics: string[]; kinds: Kind[]; chart: string }

const ALL: Kind[] = ["lun", "target", "session", "worker", "host"];

export const PANELS: Panel[] = [
	{ name: "throughput", title: "Throughput", metrics: ["read_bytes_per_s", "write_bytes_per_s"], kinds: ALL,
		chart: "throughput" },
	{ name: "iops", title: "IOPS", metrics: ["read_iops", "write_iops"], kinds: ALL, chart: "iops" },
	{ name: "latency", title: "Read latency", metrics: ["read_latency_p50", "read_latency_p99", "read_latency_p999"],
		kinds: ALL, chart: "latency" },
	{ name: "write_latency", title: "Write latency",
		metrics: ["write_latency_p50", "write_latency_p99", "write_latency_p999"], kinds: ALL, chart: "latency" },
	{ name: "store_latency", title: "Store latency", metrics: ["store_read_latency", "store_write_latency"],
		kinds: ["lun"], chart: "store" },
	{ name: "queue", title: "Queue depth", metrics: ["queue_depth"], kinds: ALL, chart: "queue" },
	{ name: "errors", title: "Errors", metrics: ["errors_per_s"], kinds: ALL, chart: "errors" },
	{ name: "other", title: "Flushes, unmaps, compares", metrics: ["flushes_per_s", "unmaps_per_s", "compares_per_s"],
		kinds: ["lun", "host"], chart: "iops" },
	{ name: "capacity", title: "Capacity", metrics: ["allocated_bytes", "size_bytes"], kinds: ["lun", "host"],
		chart: "capacity" },
	{ name: "sessions", title: "Sessions", metrics: ["sessions", "connections"], kinds: ["target", "worker", "host"],
		chart: "sessions" },
	{ name: "logins", title: "Logins", metrics: ["logins_per_s", "refusals_per_s"], kinds: ["target", "worker", "host"],
		chart: "errors" },
	{ name: "trouble", title: "Task management, digest errors, waits",
		metrics: ["tmfs_per_s", "digest_errs_per_s", "buffer_waits_per_s"], kinds: ["target", "worker", "host"],
		chart: "errors" },
	{ name: "cpu", title: "CPU", metrics: ["cpu_percent", "reactor_percent"], kinds: ["worker", "host"], chart: "cpu" },
	{ name: "memory", title: "Memory", metrics: ["memory_bytes"], kinds: ["worker", "host"], chart: "memory" },
	{ name: "state", title: "Space of the state directory", metrics: ["state_used_bytes", "state_size_bytes"],
		kinds: ["host"], chart: "capacity" },
];

export function kindOf(object: string): Kind {
	return object.slice(0, object.indexOf(":")) as Kind;
}

/* Metrics of a panel that a kind lacks: they must not be asked for. */
const LACKING: Partial<Record<Kind, string[]>> = { target: ["connections", "refusals_per_s", "buffer_waits_per_s"] };

/* Those that at least one of the objects has, with the metrics that at least one of them has. */
export function panelsOf(objects: string[], names?: string[]): Panel[] {
	const kinds = objects.map(kindOf);
	return PANELS.filter((panel) => (!names || names.includes(panel.name)) && kinds.some((kind) => panel.kinds.includes(kind)))
		.map((panel) => ({ ...panel, metrics: panel.metrics.filter((metric) =>
			kinds.some((kind) => panel.kinds.includes(kind) && !LACKING[kind]?.includes(metric))) }));
}

/* Of charts.css: --chart-0 to --chart-7. */
export const COLOURS = 8;
export const DASHES: number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

/* Objects by colour and metrics by dash; a single object's metrics by both. */
export function lineStyle(object: number, objects: number, metric: number): { colour: number; dash: number[] } {
	const colour = objects > 1 ? object % COLOURS : metric % COLOURS;
	const turn = objects > 1 ? Math.floor(object / COLOURS) : 0;
	return { colour, dash: DASHES[(metric + turn) % DASHES.length]! };
}
