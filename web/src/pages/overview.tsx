/* Is all well, and what is going on: one sentence, what to do, how full, how busy. */
import type { ComponentChildren } from "preact";
import { Sparkline } from "../charts";
import { type Schema, ask, client } from "../api/client";
import { useLive, useTop } from "../api/lists";
import { type Loaded, useLoaded } from "../api/use";
import { useEvents } from "../events";
import { type Values, bytesText, latencyText, rateText, sum, valueText } from "../format";
import { href } from "../router";
import { useMay } from "../session";
import { Badge, Meter } from "../ui/controls";
import { EventList, ObjectLink } from "../ui/event_list";
import { Head, Panel } from "../ui/page";
import { Await } from "../ui/states";
import { Table, type Column } from "../ui/table";

const HEALTH_MS = 5000,
	BUSY = 8,
	RECENT = 8;
const METRICS = [
	"read_iops",
	"write_iops",
	"read_bytes_per_s",
	"write_bytes_per_s",
	"read_latency_p99",
	"write_latency_p99",
	"sessions",
	"allocated_bytes",
	"size_bytes",
	"state_used_bytes",
	"state_size_bytes",
];

type HealthView = Schema["Health"];
const TONES = { ok: "ok", warning: "warning", error: "error" } as const;
const WORDS = {
	ok: "All is well.",
	warning: "Served, but there is something to look at.",
	error: "Something needs you now.",
};

function Health({ of }: { of: Loaded<HealthView> }) {
	return (
		<Await of={of} what="the health">
			{(health) => (
				<section class={`health ${health.status}`} aria-label="Health" data-testid="health">
					<p class="sentence">
						<Badge tone={TONES[health.status]}>{health.status}</Badge>
						<strong data-testid="health-sentence">
							{WORDS[health.status]} {health.summary}
						</strong>
					</p>
					{health.reasons.length > 0 && (
						<ul class="reasons">
							{health.reasons.map((reason) => (
								<li key={reason.object + reason.detail}>
									<Badge tone={reason.severity}>{reason.severity}</Badge>
									<div>
										<p>
											<ObjectLink object={reason.object} />: {reason.detail}
										</p>
										<p class="remedy">What to do: {reason.remedy}</p>
									</div>
								</li>
							))}
						</ul>
					)}
				</section>
			)}
		</Await>
	);
}

function Tile({
	name,
	value,
	note,
	children,
	testid,
}: {
	name: string;
	value: string;
	note?: string;
	children?: ComponentChildren;
	testid: string;
}) {
	return (
		<div class="tile">
			<h2>{name}</h2>
			<p class="value" data-testid={testid}>
				{value}
			</p>
			{note && <p class="dim">{note}</p>}
			{children}
		</div>
	);
}

function Totals({
	object,
	values: v,
	waiting,
}: {
	object: string | undefined;
	values: Values | undefined;
	waiting: boolean;
}) {
	const spark = (metric: string, label: string) =>
		object ? <Sparkline object={object} metric={metric} label={label} width={160} height={32} /> : null;
	const now = (text: string) => (waiting ? "…" : text);
	const each = (read: string, write: string, unit: string) =>
		v ? `${valueText(v[read], unit)} read, ${valueText(v[write], unit)} write` : "";
	return (
		<div class="tiles" aria-label="Now" role="group">
			<Tile
				name="Operations"
				value={now(rateText(v, "read_iops", "write_iops", "operations/s"))}
				testid="total-iops"
				note={each("read_iops", "write_iops", "operations/s")}
			>
				{spark("read_iops,write_iops", "Operations a second")}
			</Tile>
			<Tile
				name="Throughput"
				value={now(rateText(v, "read_bytes_per_s", "write_bytes_per_s", "bytes/s"))}
				testid="total-throughput"
				note={each("read_bytes_per_s", "write_bytes_per_s", "bytes/s")}
			>
				{spark("read_bytes_per_s,write_bytes_per_s", "Throughput")}
			</Tile>
			<Tile
				name="Latency, 99 %"
				value={now(latencyText(v))}
				testid="total-latency"
				note={each("read_latency_p99", "write_latency_p99", "seconds")}
			>
				{spark("read_latency_p99,write_latency_p99", "Latency, 99 %")}
			</Tile>
			<Tile
				name="Sessions"
				value={now(valueText(v?.["sessions"], "1"))}
				note="of initiators, logged in"
				testid="total-sessions"
			>
				{spark("sessions", "Sessions")}
			</Tile>
		</div>
	);
}

function Capacity({ values: v }: { values: Values | undefined }) {
	const used = v?.["allocated_bytes"] ?? null,
		size = v?.["size_bytes"] ?? null;
	const stateUsed = v?.["state_used_bytes"] ?? null,
		stateSize = v?.["state_size_bytes"] ?? null;
	const free = stateSize !== null && stateUsed !== null ? stateSize - stateUsed : null;
	const part = (a: number | null, b: number | null) => (a !== null && b ? a / b : null);
	const share = (a: number | null, b: number | null) => {
		const p = part(a, b);
		return p === null ? "unknown" : p > 0 && p < 0.01 ? "under 1 %" : `${Math.round(p * 100)} %`;
	};
	const overcommitted = size !== null && stateSize !== null && size > stateSize;
	return (
		<Panel title="Capacity" testid="capacity">
			<dl class="capacity">
				<div>
					<dt>Used by LUNs</dt>
					<dd data-testid="capacity-used">{bytesText(used)}</dd>
				</div>
				<div>
					<dt>Provisioned</dt>
					<dd data-testid="capacity-provisioned">{bytesText(size)}</dd>
				</div>
				<div>
					<dt>Free on disk</dt>
					<dd data-testid="capacity-free">{bytesText(free)}</dd>
				</div>
			</dl>
			<div class="bars">
				<span>Used of provisioned</span>
				<Meter part={part(used, size)} label="Used of provisioned" />
				<span>{share(used, size)}</span>
				<span>The daemon’s disk in use</span>
				<Meter part={part(stateUsed, stateSize)} label="The daemon’s disk in use" />
				<span>{share(stateUsed, stateSize)}</span>
			</div>
			{overcommitted && (
				<p class="dim">
					More is provisioned than the disk of the state directory ({bytesText(stateSize)}) holds. That is
					usual for thin LUNs; watch the free space.
				</p>
			)}
		</Panel>
	);
}

type Row = Schema["TopItem"];

const BUSY_COLUMNS: Column<Row>[] = [
	{ key: "name", title: "LUN", cell: (row) => <a href={href("luns", row.name)}>{row.name}</a> },
	{
		key: "iops",
		title: "Operations",
		numeric: true,
		cell: (row) => rateText(row.values as Values, "read_iops", "write_iops", "operations/s"),
	},
	{
		key: "bytes",
		title: "Throughput",
		numeric: true,
		cell: (row) => rateText(row.values as Values, "read_bytes_per_s", "write_bytes_per_s", "bytes/s"),
	},
	{ key: "p99", title: "Latency, 99 %", numeric: true, cell: (row) => latencyText(row.values as Values) },
	{
		key: "spark",
		title: "5 minutes",
		cell: (row) => <Sparkline object={row.object} metric="read_iops,write_iops" label="Operations a second" />,
	},
];

function Busiest() {
	const top = useTop("lun", BUSY);
	const busy = (rows: Row[]) => rows.filter((row) => sum(row.values["read_iops"], row.values["write_iops"]));
	return (
		<Panel title="Busiest LUNs" testid="busiest" actions={<a href="#/charts?charts=top">As a chart</a>}>
			<Await of={top} what="the busiest LUNs">
				{(rows) =>
					rows.length === 0 ? (
						<p class="dim pad">
							There is no LUN yet. <a href="#/luns?create=1">Create the first one</a>.
						</p>
					) : busy(rows).length === 0 ? (
						<p class="dim pad">Nothing is read or written at the moment.</p>
					) : (
						<Table
							caption="The LUNs with the most operations a second"
							columns={BUSY_COLUMNS}
							rows={busy(rows)}
							rowKey={(row) => row.name}
						/>
					)
				}
			</Await>
		</Panel>
	);
}

function Recent() {
	const { events, problem, stream } = useEvents();
	return (
		<Panel title="Recent events" testid="recent-events" actions={<a href="#/events">All events</a>}>
			{problem && stream !== "open" && <p class="note warning">Events do not come at the moment: {problem}</p>}
			<EventList
				events={events.slice(0, RECENT)}
				none={stream === "open" ? "Nothing has happened since the daemon started." : "Waiting for the events …"}
			/>
		</Panel>
	);
}

function FirstSteps() {
	return (
		<section class="panel first-steps" aria-label="First steps">
			<header>
				<h2>First steps</h2>
			</header>
			<ol>
				<li>
					<a href="#/luns?create=1">Create a LUN</a>: the disk that an initiator will see.
				</li>
				<li>
					<a href="#/targets?create=1">Create a target</a>: what initiators log in to, and who may.
				</li>
				<li>Assign the LUN to the target, then copy the commands for the initiator from the target’s page.</li>
			</ol>
		</section>
	);
}

export function OverviewPage() {
	const may = useMay("operator");
	const health = useLoaded(async () => (await ask(client.GET("/api/v1/health"))).data, [], HEALTH_MS);
	const { objects, problem } = useLive(["host:*"], METRICS);
	const any = useLoaded(
		async () => (await ask(client.GET("/api/v1/luns", { params: { query: { limit: 1 } } }))).data.items.length > 0,
		[],
		HEALTH_MS,
	);
	const [host, values] = [...objects][0] ?? [undefined, undefined];
	return (
		<>
			<Head title="Overview" may={may} />
			<Health of={health} />
			{problem && (
				<p class="note warning" role="status">
					Live values do not come at the moment: {problem}
				</p>
			)}
			{any.data === false && <FirstSteps />}
			<Totals object={host} values={values} waiting={!values && !problem} />
			<Capacity values={values} />
			<div class="columns busy">
				<Busiest />
				<Recent />
			</div>
		</>
	);
}
