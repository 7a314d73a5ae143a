/* The events that the daemon still knows and those that come, once for all pages. */
import { useEffect } from "preact/hooks";
import { follow, type StreamState } from "./charts/stream";
import { Store, useStore } from "./store";

export interface Event {
	id: number;
	time?: string;
	kind: string;
	object: string;
	text: string;
}
export interface EventLog {
	events: Event[];
	stream: StreamState;
	problem: string;
} /* the newest first */

const KEPT = 1000,
	GATHER_MS = 60;
const log = new Store<EventLog>({ events: [], stream: "connecting", problem: "" });
let watchers = 0;
let stop: (() => void) | null = null;

function start(): () => void {
	let fresh: Event[] = [];
	let timer = 0;
	const flush = () => {
		const last = log.get().events[0]?.id ?? 0;
		const news = fresh
			.splice(0)
			.filter((event) => event.id > last)
			.reverse();
		timer = 0;
		log.set({ ...log.get(), events: [...news, ...log.get().events].slice(0, KEPT) });
	};
	const end = follow({
		url: "/api/v1/events",
		lastEventId: String(log.get().events[0]?.id ?? 1),
		onMessage(message) {
			if (message.event === "lost") return;
			fresh.push(JSON.parse(message.data) as Event);
			timer ||= window.setTimeout(flush, GATHER_MS);
		},
		onState: (stream, problem) => log.set({ ...log.get(), stream, problem }),
	});
	return () => {
		window.clearTimeout(timer);
		end();
	};
}

export function useEvents(): EventLog {
	useEffect(() => {
		watchers++;
		stop ??= start();
		return () => {
			if (--watchers > 0) return;
			stop?.();
			stop = null;
		};
	}, []);
	return useStore(log);
}

/* "lun:vol1" -> the page that shows it, if one does. */
export function objectPage(object: string): string | null {
	const at = object.indexOf(":");
	const name = at < 0 ? "" : object.slice(at + 1);
	switch (at < 0 ? object : object.slice(0, at)) {
		case "lun":
			return `#/luns/${encodeURIComponent(name)}`;
		case "target":
			return `#/targets/${name}`;
		case "target-lun":
		case "target-initiator":
			return `#/targets/${targetOf(name)}`;
		case "session":
			return "#/sessions";
		case "worker":
			return "#/workers";
		default:
			return null;
	}
}

/* "iqn.2026-11.io.lunette:demo:0" -> without the last part; an initiator's name has colons too, so up to its "iqn." */
function targetOf(name: string): string {
	const second = name.search(/:(iqn|eui|naa)\./);
	return second > 0 ? name.slice(0, second) : name.slice(0, name.lastIndexOf(":"));
}

/* Whether an event is about one object: "lun:vol1" or what belongs to it. */
export const isAbout = (event: Event, object: string): boolean =>
	event.object === object ||
	(object.startsWith("target:") &&
		/^target-(lun|initiator):/.test(event.object) &&
		targetOf(event.object.slice(event.object.indexOf(":") + 1)) === object.slice(7));
