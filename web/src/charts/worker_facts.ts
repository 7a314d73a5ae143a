/* What /metrics tells of workers (OpenMetrics text), and the events of their restarts. */
import type { Mark } from "./marks";

export interface WorkerFacts { up: boolean | null; starts: number | null; startedAt: number | null }

const FACTS: Record<string, (facts: WorkerFacts, value: number) => void> = {
	lunette_worker_up: (facts, value) => { facts.up = value === 1; },
	lunette_worker_starts_total: (facts, value) => { facts.starts = value; },
	lunette_worker_start_time_seconds: (facts, value) => { facts.startedAt = value; },
};

export function parseWorkerFacts(text: string): Map<string, WorkerFacts> {
	const workers = new Map<string, WorkerFacts>();
	for (const line of text.split("\n")) {
		const match = /^(lunette_worker_\w+)\{worker="([^"]*)"\} (\S+)/.exec(line);
		const take = match && FACTS[match[1]!];
		if (!take)
			continue;
		const facts = workers.get(match[2]!) ?? { up: null, starts: null, startedAt: null };
		take(facts, Number(match[3]));
		workers.set(match[2]!, facts);
	}
	return workers;
}

export async function workerFacts(): Promise<Map<string, WorkerFacts>> {
	const response = await fetch("/metrics", { credentials: "same-origin" });
	if (!response.ok)
		throw new Error(`the daemon answered ${response.status}`);
	return parseWorkerFacts(await response.text());
}

/* The newest event of each worker that tells of an end. */
export function lastExits(marks: Mark[]): Map<string, Mark> {
	return new Map(marks.filter((mark) => mark.kind === "worker" && mark.object.startsWith("worker:"))
		.map((mark) => [mark.object.slice(7), mark]));
}
