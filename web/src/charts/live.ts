/* The live stream, once for a page: whoever draws subscribes, the union of all wishes is one connection. */
import type { Sample } from "./grid";
import { type StreamState, follow } from "./stream";

interface Wish {
	objects: string[];
	metrics: string[];
	onSample(sample: Sample): void;
	onState?(state: StreamState, problem: string): void;
}

const SETTLE_MS = 150; /* wishes that come together become one request */

const wishes = new Set<Wish>();
let stop: (() => void) | null = null;
let url = "";
let timer = 0;

function union(lists: string[][]): string[] {
	const all = new Set(lists.flat());
	return [...all].filter((name) => name.endsWith(":*") || !all.has(name.slice(0, name.indexOf(":")) + ":*")).sort();
}

/* A name in a list of the query: commas separate names, and none has one that is not escaped. */
export function liveUrl(objects: string[], metrics: string[]): string {
	return "/api/v1/live?" + new URLSearchParams({ object: objects.join(","), metric: metrics.join(",") });
}

function renew(): void {
	const objects = union([...wishes].map((wish) => wish.objects));
	const metrics = union([...wishes].map((wish) => wish.metrics));
	const wanted = objects.length && metrics.length ? liveUrl(objects, metrics) : "";

	if (wanted === url)
		return;
	stop?.();
	stop = null;
	url = wanted;
	if (!wanted)
		return;
	stop = follow({
		url: wanted,
		onMessage(message) {
			if (message.event !== "sample")
				return;
			const sample = JSON.parse(message.data) as Sample;
			wishes.forEach((wish) => wish.onSample(sample));
		},
		onState: (state, problem) => wishes.forEach((wish) => wish.onState?.(state, problem)),
	});
}

export function subscribe(wish: Wish): () => void {
	const settle = () => {
		window.clearTimeout(timer);
		timer = window.setTimeout(renew, SETTLE_MS);
	};
	wishes.add(wish);
	settle();
	return () => {
		wishes.delete(wish);
		settle();
	};
}
