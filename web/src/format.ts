/* Sizes and times as people write them; values of metrics: charts/format. */
import { valueText } from "./charts/format";

export { valueText };

export const bytesText = (bytes: number | null | undefined): string => valueText(bytes, "bytes");

export function rateText(values: Values | undefined, read: string, write: string, unit: string): string {
	return valueText(sum(values?.[read], values?.[write]), unit);
}

export type Values = Record<string, number | null>;

/* Unknown only when both are. */
export function sum(a: number | null | undefined, b: number | null | undefined): number | null {
	return a == null && b == null ? null : (a ?? 0) + (b ?? 0);
}

export function most(a: number | null | undefined, b: number | null | undefined): number | null {
	return a == null && b == null ? null : Math.max(a ?? 0, b ?? 0);
}

/* The slower of reads and writes; "idle" when nothing is asked for. */
export function latencyText(values: Values | undefined): string {
	const worst = most(values?.["read_latency_p99"], values?.["write_latency_p99"]);
	return worst === null && sum(values?.["read_iops"], values?.["write_iops"]) === 0
		? "idle"
		: valueText(worst, "seconds");
}

export const UNITS: [string, number][] = [
	["MiB", 2 ** 20],
	["GiB", 2 ** 30],
	["TiB", 2 ** 40],
];

/* A number and a unit; null: not a number above 0, or one that is too large to be written down (the service says what else
 * is wrong). */
export function sizeBytes(number: string, unit: string): number | null {
	const factor = UNITS.find(([name]) => name === unit)![1];
	const text = number.trim().replace(",", ".");
	const bytes = Math.round(Number(text) * factor);
	return /^\d+(\.\d+)?$/.test(text) && bytes > 0 && Number.isSafeInteger(bytes) ? bytes : null;
}

export function sizeProblem(number: string, unit: string): string | undefined {
	if (sizeBytes(number, unit) !== null) return undefined;
	return /^\s*\d{4,}([.,]\d+)?\s*$/.test(number)
		? "That is larger than any LUN can be."
		: "A number above 0, such as 10 or 1.5.";
}

/* The unit in which it is a short number: [20, "GiB"]. */
export function sizeParts(bytes: number): [string, string] {
	const [name, factor] =
		[...UNITS].reverse().find(([, f]) => bytes >= f && ((bytes / f) * 100) % 1 === 0) ?? UNITS[0]!;
	return [String(bytes / factor), name];
}

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const CLOCK = new Intl.DateTimeFormat(undefined, {
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
	hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, {
	day: "numeric",
	month: "short",
	hour: "2-digit",
	minute: "2-digit",
	hourCycle: "h23",
});

export const timeFull = (time: string | undefined): string => (time ? FULL.format(new Date(time)) : "unknown");

/* The clock today, the day otherwise. */
export function timeShort(time: string | undefined): string {
	if (!time) return "unknown";
	const date = new Date(time);
	return (date.toDateString() === new Date().toDateString() ? CLOCK : DAY).format(date);
}

export function agoText(time: string | undefined, now = Date.now()): string {
	if (!time) return "unknown";
	const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
	for (const [name, size] of [
		["d", 86400],
		["h", 3600],
		["min", 60],
	] as const)
		if (seconds >= size * 2) return `${Math.floor(seconds / size)} ${name}`;
	return `${Math.floor(seconds)} s`;
}

export const count = (n: number, one: string, many = one + "s"): string =>
	`${n.toLocaleString("en")} ${n === 1 ? one : many}`;
