/* #/workers: the machine and each worker: up, since when, how often started, what it does now. */
import { useEffect, useState } from "preact/hooks";
import type { Schema } from "../api/client";
import { Head } from "../ui/page";
import { getJson } from "./client";
import { spanText, timeText, valueText } from "./format";
import type { Sample } from "./grid";
import { subscribe } from "./live";
import type { Mark } from "./marks";
import { ObjectCharts } from "./object_charts";
import { Sparkline } from "./sparkline";
import { useMarks } from "./use_marks";
import { type WorkerFacts, lastExits, workerFacts } from "./worker_facts";

type Values = Record<string, number | null>;

const METRICS = ["cpu_percent", "memory_bytes", "reactor_percent", "sessions", "connections", "read_iops", "write_iops",
	"read_bytes_per_s", "write_bytes_per_s", "queue_depth", "buffer_waits_per_s", "state_used_bytes", "state_size_bytes"];

function useNow(): { objects: Map<string, Values>; problem: string } {
	const [objects, setObjects] = useState(new Map<string, Values>());
	const [problem, setProblem] = useState("");
	useEffect(() => subscribe({
		objects: ["host:*", "worker:*"], metrics: METRICS,
		onSample: (sample: Sample) => setObjects(new Map(sample.samples.map((one) => [one.object, one.values]))),
		onState: (state, why) => setProblem(state === "open" ? "" : why),
	}), []);
	return { objects, problem };
}

type Health = Schema["Health"];
type Capabilities = Schema["Capabilities"];

const REFRESH_MS = 5000;

function useFacts() {
	const [facts, setFacts] = useState<Map<string, WorkerFacts>>(new Map());
	const [health, setHealth] = useState<Health | null>(null);
	const [can, setCan] = useState<Capabilities | null>(null);
	const marks = useMarks();
	useEffect(() => {
		const read = () => {
			void workerFacts().then(setFacts, () => undefined);
			void getJson<Health>("/api/v1/health").then(setHealth, () => undefined);
		};
		const timer = window.setInterval(() => { if (!document.hidden) read(); }, REFRESH_MS);
		read();
		void getJson<Capabilities>("/api/v1/capabilities").then(setCan, () => undefined);
		return () => window.clearInterval(timer);
	}, []);
	return { facts, health, can, exits: lastExits(marks) };
}

function Fact({ label, value, spark }: { label: string; value: string; spark?: { object: string; metric: string } }) {
	return <div class="fact"><dt>{label}</dt><dd>{value}{spark && <Sparkline {...spark} label={label} />}</dd></div>;
}

const sum = (a: number | null | undefined, b: number | null | undefined) => a == null || b == null ? null : a + b;

function Host({ object, values }: { object: string; values: Values }) {
	const used = values["state_used_bytes"], size = values["state_size_bytes"];
	const part = used != null && size ? ` (${Math.round(used / size * 100)} %)` : "";
	return <section class="worker-card">
		<h2>{object.slice(5)}</h2>
		<dl class="facts">
			<Fact label="CPU of the machine" value={valueText(values["cpu_percent"], "percent")} spark={{ object, metric: "cpu_percent" }} />
			<Fact label="Memory in use" value={valueText(values["memory_bytes"], "bytes")} spark={{ object, metric: "memory_bytes" }} />
			<Fact label="Space of the state directory" value={`${valueText(used, "bytes")} of ${valueText(size, "bytes")}${part}`} />
			<Fact label="Operations" value={valueText(sum(values["read_iops"], values["write_iops"]), "operations/s")}
				spark={{ object, metric: "read_iops" }} />
			<Fact label="Throughput" value={valueText(sum(values["read_bytes_per_s"], values["write_bytes_per_s"]), "bytes/s")} />
			<Fact label="Sessions" value={valueText(values["sessions"], "1")} />
		</dl>
	</section>;
}

function Worker({ name, values, facts, exit, reasons, reactors, open, onOpen }: { name: string; values: Values | undefined;
		facts: WorkerFacts | undefined; exit: Mark | undefined; reasons: Health["reasons"]; reactors: number | null; open: boolean;
		onOpen(): void }) {
	const object = `worker:${name}`;
	const up = facts?.up ?? values !== undefined;
	const v = values ?? {};
	const since = facts?.startedAt ? Date.now() / 1000 - facts.startedAt : null;
	return <section class="worker-card">
		<h2>Worker {name} <span class={up ? "worker-up" : "worker-down"}><i aria-hidden="true">{up ? "●" : "○"}</i> {up ? "up" : "down"}</span></h2>
		{reasons.map((reason) => <p key={reason.detail} class="worker-reason">{reason.detail}. {reason.remedy}</p>)}
		<dl class="facts">
			{since !== null && <Fact label="Up for" value={spanText(since)} />}
			<Fact label="Starts" value={facts?.starts == null ? "unknown" : String(facts.starts)} />
			<Fact label="CPU of the process" value={valueText(v["cpu_percent"], "percent")} spark={{ object, metric: "cpu_percent" }} />
			<Fact label={reactors ? `CPU of ${reactors} reactor${reactors > 1 ? "s" : ""}` : "CPU of the reactors"}
				value={valueText(v["reactor_percent"], "percent")} />
			<Fact label="Memory" value={valueText(v["memory_bytes"], "bytes")} spark={{ object, metric: "memory_bytes" }} />
			<Fact label="Sessions, connections" value={`${valueText(v["sessions"], "1")}, ${valueText(v["connections"], "1")}`} />
			<Fact label="Reads" value={valueText(v["read_iops"], "operations/s")} spark={{ object, metric: "read_iops" }} />
			<Fact label="Writes" value={valueText(v["write_iops"], "operations/s")} spark={{ object, metric: "write_iops" }} />
			<Fact label="Queue depth" value={valueText(v["queue_depth"], "1")} />
			<Fact label="Waits for buffers" value={valueText(v["buffer_waits_per_s"], "events/s")} />
			<Fact label="Last exit" value={exit ? `${timeText(exit.time, 1, "local")}: ${exit.text}` : "none that is kept"} />
		</dl>
		<button type="button" aria-expanded={open} onClick={onOpen}>{open ? "Hide charts" : "Show charts"}</button>
		{open && <ObjectCharts object={object} />}
	</section>;
}

export function WorkersPage() {
	const { objects, problem } = useNow();
	const { facts, health, can, exits } = useFacts();
	const [open, setOpen] = useState("");
	const toggle = (name: string) => setOpen(open === name ? "" : name);
	const hosts = [...objects.keys()].filter((object) => object.startsWith("host:"));
	const count = can?.workers ?? 0;
	const names = new Set([...Array.from({ length: count }, (_, i) => String(i)), ...facts.keys()]);

	return <div class="workers-page">
		<Head title="Workers and host" />
		{problem && <p class="chart-problem" role="status">Live values do not come: {problem}</p>}
		{hosts.length === 0 && !problem && <p class="chart-wait" aria-live="polite">Waiting for the first sample …</p>}
		{hosts.map((object) => <Host key={object} object={object} values={objects.get(object)!} />)}
		{[...names].map((name) => <Worker key={name} name={name} values={objects.get(`worker:${name}`)} facts={facts.get(name)}
			exit={exits.get(name)} reasons={health?.reasons.filter((reason) => reason.object === `worker:${name}`) ?? []}
			reactors={can?.reactors ?? null} open={open === name} onOpen={() => toggle(name)} />)}
		{hosts.map((object) => <section key={object} class="worker-card"><h2>Charts of {object.slice(5)}</h2>
			<ObjectCharts object={object} charts={["cpu", "memory", "throughput", "iops", "sessions", "trouble", "state"]} /></section>)}
	</div>;
}
