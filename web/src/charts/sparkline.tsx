/* A small line of a metric of one object, the last minutes, live: for tables and tiles. Series are asked for together. */
import { useEffect, useState } from "preact/hooks";
import { getJson } from "./client";
import { valueText } from "./format";
import { LiveGrid, type Series, type SeriesSet, newest } from "./grid";
import { subscribe } from "./live";
import { sparkPath } from "./spark_path";

const SECONDS = 300, GATHER_MS = 30, BATCH_MAX = 64;

interface Wait { object: string; metric: string; take(set: SeriesSet | null): void }

let waiting: Wait[] = [];

/* One request for all sparklines of a metric that appear together. */
function ask(wait: Wait): void {
	if (waiting.length === 0)
		window.setTimeout(send, GATHER_MS);
	waiting.push(wait);
}

function send(): void {
	const all = waiting.splice(0);
	for (const metric of new Set(all.map((wait) => wait.metric))) {
		const mine = all.filter((wait) => wait.metric === metric);
		for (let i = 0; i < mine.length; i += BATCH_MAX) {
			const part = mine.slice(i, i + BATCH_MAX);
			const object = [...new Set(part.map((wait) => wait.object))].join(",");
			getJson<SeriesSet>("/api/v1/series", { object, metric, from: `-${SECONDS}s`, step: "5" }).then(
				(set) => part.forEach((wait) => wait.take(set)), () => part.forEach((wait) => wait.take(null)));
		}
	}
}

function useSpark(object: string, metric: string): Series | null {
	const [, setTurn] = useState(0);
	const [grid, setGrid] = useState<LiveGrid | null>(null);
	useEffect(() => {
		let gone = false;
		ask({ object, metric, take(set) {
			const series = set?.series.filter((one) => one.object === object) ?? [];
			if (!gone)
				setGrid(set && series.length ? new LiveGrid({ ...set, series }, SECONDS) : null);
		} });
		return () => { gone = true; };
	}, [object, metric]);
	useEffect(() => grid ? subscribe({ objects: [object], metrics: metric.split(","), onSample(sample) {
		grid.add(sample);
		setTurn((n) => n + 1);
	} }) : undefined, [grid]);
	return grid ? added(grid.set.series) : null;
}

/* Reads and writes as one line, of times the longer one; unknown only where all are. */
function added(all: Series[]): Series | null {
	const first = all[0];
	if (!first || all.length === 1)
		return first ?? null;
	return { ...first, values: first.values.map((_, i) => {
		const known = all.map((one) => one.values[i] ?? null).filter((value) => value !== null);
		if (known.length === 0)
			return null;
		return first.unit === "seconds" ? Math.max(...known) : known.reduce((sum, value) => sum + value, 0);
	}) };
}

/* metric: one name, or several with commas, which become one line. */
export interface SparklineProps { object: string; metric: string; width?: number; height?: number; label?: string }

export function Sparkline({ object, metric, width = 96, height = 24, label }: SparklineProps) {
	const series = useSpark(object, metric);
	const now = series ? newest(series.values) : null;
	const text = `${label ?? series?.title ?? metric}, last 5 min, now ${valueText(now, series?.unit ?? "1")}`;
	return <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={text}>
		<title>{text}</title>
		<path d={series ? sparkPath(series.values, width, height) : ""} />
	</svg>;
}
