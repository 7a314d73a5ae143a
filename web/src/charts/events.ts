/* What happened, as marks of the charts: the events that the daemon keeps and those that come; the audit log for admins. */
import { getJson } from "./client";
import type { Mark } from "./marks";
import { follow } from "./stream";

const MARKS_MAX = 2000;

let marks: Mark[] = [];
let stop: (() => void) | null = null;
const listeners = new Set<(marks: Mark[]) => void>();

function tell(): void {
	listeners.forEach((listener) => listener(marks));
}

function add(list: Mark[]): void {
	const known = new Set(marks.map((mark) => `${mark.time} ${mark.object} ${mark.text}`));
	const fresh = list.filter((mark) => Number.isFinite(mark.time) &&
		!known.has(`${mark.time} ${mark.object} ${mark.text}`));
	if (fresh.length === 0)
		return;
	marks = [...marks, ...fresh].sort((a, b) => a.time - b.time).slice(-MARKS_MAX);
	tell();
}

interface WireEvent { time?: string; kind: string; object: string; text: string }
interface AuditEntry { time: string; actor: string; method: string; object: string; status: number; dry_run: boolean }

/* What the audit log tells and the kept events no longer do: changes that were made. */
async function readAudit(): Promise<void> {
	const list = await getJson<{ items: AuditEntry[] }>("/api/v1/audit", { limit: "200" }).catch(() => null);
	const oldest = marks[0]?.time ?? Infinity;
	add((list?.items ?? []).filter((entry) => !entry.dry_run && entry.status < 400)
		.map((entry) => ({ time: Date.parse(entry.time) / 1000, kind: "change", object: entry.object,
			text: `${entry.method} by ${entry.actor}` }))
		.filter((mark) => mark.time < oldest));
}

function start(): () => void {
	let pending: Mark[] = [], timer = 0;
	const end = follow({
		url: "/api/v1/events",
		lastEventId: "1",
		onMessage(message) {
			if (message.event === "lost")
				return;
			const event = JSON.parse(message.data) as WireEvent;
			pending.push({ ...event, time: Date.parse(event.time ?? "") / 1000 });
			window.clearTimeout(timer);
			timer = window.setTimeout(() => add(pending.splice(0)), 50);
		},
	});
	window.setTimeout(() => void readAudit(), 500);
	return end;
}

/* Told at once and whenever there is a new one. */
export function watchMarks(listener: (marks: Mark[]) => void): () => void {
	listeners.add(listener);
	stop ??= start();
	listener(marks);
	return () => {
		listeners.delete(listener);
		if (listeners.size > 0)
			return;
		stop?.();
		stop = null;
	};
}
