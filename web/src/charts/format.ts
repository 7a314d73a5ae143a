/* Values with their units, ticks of axes and times, as people write them. Pure. */

export type Unit = "operations/s" | "bytes/s" | "seconds" | "1" | "events/s" | "bytes" | "percent";
export type Zone = "local" | "utc";

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL = ["", "k", "M", "G", "T"];

/* Three significant digits, no trailing zeros. */
function digits(value: number): string {
	const size = Math.abs(value);
	const text = value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
	return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function scaled(value: number, step: number, prefixes: string[]): [number, string] {
	let i = 0;
	while (i < prefixes.length - 1 && Math.abs(value) >= step * 0.9995) {
		value /= step;
		i++;
	}
	return [value, prefixes[i]!];
}

function secondsText(value: number): string {
	if (value === 0)
		return "0 s";
	if (value < 0.0009995)
		return digits(value * 1e6) + " µs";
	return value < 0.9995 ? digits(value * 1e3) + " ms" : digits(value) + " s";
}

/* "18.4 k/s", "1.5 GiB/s", "2.3 ms", "12 %", "unknown". */
export function valueText(value: number | null | undefined, unit: string): string {
	if (value === null || value === undefined || !Number.isFinite(value))
		return "unknown";
	if (unit === "seconds")
		return secondsText(value);
	if (unit === "percent")
		return digits(value) + " %";
	if (unit === "bytes" || unit === "bytes/s") {
		const [number, prefix] = scaled(value, 1024, BINARY);
		return `${digits(number)} ${prefix}B${unit === "bytes/s" ? "/s" : ""}`;
	}
	const [number, prefix] = scaled(value, 1000, DECIMAL);
	const text = digits(number) + (prefix ? " " + prefix : "");
	return unit === "1" ? text : text + (prefix ? "/s" : " /s");
}

/* What one tick step may be: powers of two for bytes, 1, 2, 5 times powers of ten for the rest. */
export function tickSteps(unit: string): number[] {
	const steps: number[] = [];
	if (unit === "bytes" || unit === "bytes/s") {
		for (let i = 0; i < 62; i++)
			steps.push(2 ** i);
		return steps;
	}
	for (let power = unit === "1" ? 0 : -7; power < 16; power++)
		for (const factor of [1, 2, 5])
			steps.push(Number(`${factor}e${power}`));
	return steps;
}

/* Ticks from low to high, about `count` of them. */
export function ticks(low: number, high: number, count: number, unit: string): number[] {
	const step = tickSteps(unit).find((s) => (high - low) / s <= Math.max(count, 1)) ?? high - low;
	const list: number[] = [];
	if (!(step > 0))
		return [low];
	for (let i = Math.ceil(low / step - 1e-9) || 0; i * step <= high + step * 1e-9; i++)
		list.push(i * step);
	return list;
}

const pad = (n: number) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

interface Clock { year: number; month: number; day: number; hour: number; minute: number; second: number }

export function clockOf(time: number, zone: Zone): Clock {
	const d = new Date(time * 1000);
	return zone === "utc"
		? { year: d.getUTCFullYear(), month: d.getUTCMonth(), day: d.getUTCDate(), hour: d.getUTCHours(),
			minute: d.getUTCMinutes(), second: d.getUTCSeconds() }
		: { year: d.getFullYear(), month: d.getMonth(), day: d.getDate(), hour: d.getHours(),
			minute: d.getMinutes(), second: d.getSeconds() };
}

/* Below a time tick: what the distance of the ticks needs, and the date where it changes. */
export function tickTimes(times: number[], step: number, zone: Zone): string[] {
	let before = "";
	return times.map((time) => {
		const c = clockOf(time, zone);
		const day = `${c.day} ${MONTHS[c.month]}`;
		let text: string, second: string;
		if (step >= 28 * 86400) {
			text = MONTHS[c.month]!;
			second = String(c.year);
		} else if (step >= 86400) {
			text = day;
			second = String(c.year);
		} else {
			text = `${pad(c.hour)}:${pad(c.minute)}` + (step < 60 ? ":" + pad(c.second) : "");
			second = day;
		}
		const same = second === before;
		before = second;
		return same ? text : text + "\n" + second;
	});
}

const dateOf = (c: Clock) => `${c.day} ${MONTHS[c.month]} ${c.year}`;
const clockText = (c: Clock, step: number) => `${pad(c.hour)}:${pad(c.minute)}${step < 60 ? ":" + pad(c.second) : ""}`;

/* "24 Nov 2026, 14:05:10 UTC": a moment, in full; seconds where steps are shorter than a minute. */
export function timeText(time: number, step: number, zone: Zone): string {
	const c = clockOf(time, zone);
	return `${dateOf(c)}, ${clockText(c, step)}${zone === "utc" ? " UTC" : ""}`;
}

/* "24 Nov 2026, 14:05 to 14:10 (UTC+1)": a day that both ends share is said once. */
export function spanCaption(span: { from: number; to: number }, zone: Zone): string {
	const from = clockOf(span.from, zone), to = clockOf(span.to, zone);
	const step = span.to - span.from < 120 ? 1 : 60;
	const last = dateOf(from) === dateOf(to) ? "" : dateOf(to) + ", ";
	return `${dateOf(from)}, ${clockText(from, step)} to ${last}${clockText(to, step)} (${zoneText(zone)})`;
}

/* "90 s", "10 min", "2 h", "7 d". */
export function spanText(seconds: number): string {
	if (seconds < 120)
		return `${Math.round(seconds)} s`;
	if (seconds < 7200)
		return `${digits(seconds / 60)} min`;
	return seconds < 172800 ? `${digits(seconds / 3600)} h` : `${digits(seconds / 86400)} d`;
}

/* The name of the browser's zone with its distance from UTC: "Europe/Berlin, UTC+1". */
export function zoneText(zone: Zone, now: Date = new Date()): string {
	if (zone === "utc")
		return "UTC";
	const minutes = -now.getTimezoneOffset();
	const part = Math.abs(minutes) % 60;
	const offset = `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${part ? ":" + pad(part) : ""}`;
	const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
	return name && name !== "UTC" ? `${name}, ${offset}` : offset;
}

/* "lun:vol1" -> "vol1"; the kind stays where kinds are mixed. */
export function objectLabel(object: string, mixed = false): string {
	const at = object.indexOf(":");
	const kind = object.slice(0, at);
	const name = object.slice(at + 1);
	return mixed || kind === "worker" ? `${kind} ${name}` : name;
}
