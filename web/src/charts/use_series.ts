/* Series of the server, going on live: what all panels of a page draw. */
import { useEffect, useRef, useState } from "preact/hooks";
import { getJson } from "./client";
import { LiveGrid, type SeriesSet, hasNewObjects } from "./grid";
import { subscribe } from "./live";
import type { Span } from "./range";

export interface SeriesQuery {
	objects: string[];
	metrics: string[];
	seconds: number;   /* up to now */
	zoom: Span | null; /* instead of that */
	cf: "average" | "max";
	live: boolean;
}

export interface SeriesState {
	set: SeriesSet | null;
	span: Span;
	now: number;        /* by the server's clock */
	loading: boolean;
	error: string;
	stream: string;     /* "" when live samples come; why not otherwise */
	version: number;
	retry(): void;
}

const RELOAD_MS = 10 * 60 * 1000; /* what the history knows better than the samples that we added up */
const POLL_MS = 10000;
const wallNow = () => Date.now() / 1000;

export const seriesParams = (query: SeriesQuery): Record<"object" | "metric" | "from" | "to" | "cf", string> => ({
	object: query.objects.join(","),
	metric: query.metrics.join(","),
	from: query.zoom ? String(query.zoom.from) : `-${query.seconds}s`,
	to: query.zoom ? String(query.zoom.to) : "now",
	cf: query.cf,
});

/* New objects of a wildcard, or a stream that jumped, make the whole be asked for anew, but not more often than this. */
const ANEW_MS = 5000;

export function useSeries(query: SeriesQuery): SeriesState {
	const [state, setState] = useState<Omit<SeriesState, "retry">>({ set: null, span: { from: wallNow() - query.seconds,
		to: wallNow() }, now: wallNow(), loading: true, error: "", stream: "", version: 0 });
	const [turn, setTurn] = useState(0);
	const grid = useRef<LiveGrid | null>(null);
	const key = JSON.stringify({ ...query, live: false });

	useEffect(() => {
		const abort = new AbortController();
		const timer = query.live ? window.setTimeout(() => setTurn((n) => n + 1), RELOAD_MS) : 0;
		grid.current = null;
		if (query.objects.length === 0 || query.metrics.length === 0) {
			setState((old) => ({ ...old, set: null, loading: false, error: "" }));
			return;
		}
		setState((old) => ({ ...old, loading: true }));
		getJson<SeriesSet>("/api/v1/series", seriesParams(query), abort.signal).then((set) => {
			const made = new LiveGrid(set, query.seconds);
			grid.current = query.zoom ? null : made;
			setState((old) => ({ ...old, set: made.set, span: query.zoom ?? { from: set.to - query.seconds, to: set.to },
				now: query.zoom ? Math.max(wallNow(), set.to) : set.to, loading: false, error: "",
				version: old.version + 1 }));
		}, (error: Error) => {
			if (!abort.signal.aborted)
				setState((old) => ({ ...old, loading: false, error: error.message }));
		});
		return () => { abort.abort(); window.clearTimeout(timer); };
	}, [key, turn]);

	useEffect(() => {
		let asked = wallNow(), opened = false;
		if (!query.live)
			return;
		const anew = () => {
			if (wallNow() - asked < ANEW_MS / 1000)
				return;
			asked = wallNow();
			setTurn((n) => n + 1);
		};
		return subscribe({
			objects: query.objects, metrics: query.metrics,
			onSample(sample) {
				const live = grid.current;
				if (!live)
					return;
				const wild = query.objects.some((object) => object.endsWith(":*"));
				if (!live.add(sample) || (wild && hasNewObjects(live.set, sample, query.objects)))
					return anew();
				setState((old) => ({ ...old, set: live.set, now: live.now, version: old.version + 1,
					span: { from: live.now - query.seconds, to: live.now } }));
			},
			onState(stream, problem) {
				if (stream === "open" && opened)
					anew(); /* what came while nobody listened */
				opened ||= stream === "open";
				setState((old) => ({ ...old, stream: stream === "open" ? "" : problem || old.stream }));
			},
		});
	}, [key, query.live]);

	useEffect(() => { /* after a pause the history fills what was not watched */
		if (query.live && state.version > 0)
			setTurn((n) => n + 1);
	}, [query.live]);

	useEffect(() => { /* without live samples the history is asked now and then */
		if (!query.live || !state.stream)
			return;
		const timer = window.setInterval(() => { if (!document.hidden) setTurn((n) => n + 1); }, POLL_MS);
		return () => window.clearInterval(timer);
	}, [query.live, state.stream]);

	return { ...state, retry: () => setTurn((n) => n + 1) };
}
