/* Where one is: the hash of the URL, "#/luns/vol1?filter=a". Pages keep what they show in its query. */
import { useEffect, useState } from "preact/hooks";

export interface Place {
	path: string;
	query: URLSearchParams;
}
export type Params = Record<string, string>;
type Value = string | number | boolean;

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());

window.addEventListener("hashchange", tell);
window.addEventListener("popstate", tell);

export function placeNow(): Place {
	const [path, query] = location.hash.slice(1).split(/\?(.*)/s);
	return { path: path || "/", query: new URLSearchParams(query ?? "") };
}

/* The address of a page; segments are escaped: href("luns", name). */
export function href(...segments: (string | number)[]): string {
	return "#/" + segments.map((segment) => encodeURIComponent(segment).replace(/%3A/g, ":")).join("/");
}

export function go(hash: string, replace = false): void {
	history[replace ? "replaceState" : "pushState"](null, "", hash);
	tell();
}

export function usePlace(): Place {
	const [place, setPlace] = useState(placeNow);
	useEffect(() => {
		const read = () => setPlace(placeNow());
		listeners.add(read);
		read();
		return () => void listeners.delete(read);
	}, []);
	return place;
}

/* "/luns/:lun" against "/luns/vol1": the parameters, or null. */
export function match(pattern: string, path: string): Params | null {
	const want = pattern.split("/"),
		have = path.split("/");
	const params: Params = {};
	if (want.length !== have.length) return null;
	for (let i = 0; i < want.length; i++) {
		if (!want[i]!.startsWith(":")) {
			if (want[i] !== have[i]) return null;
			continue;
		}
		try {
			params[want[i]!.slice(1)] = decodeURIComponent(have[i]!);
		} catch {
			return null;
		}
	}
	return params;
}

function parse<T extends Record<string, Value>>(query: URLSearchParams, defaults: T): T {
	const state: Record<string, Value> = { ...defaults };
	for (const [name, fallback] of Object.entries(defaults)) {
		const text = query.get(name);
		if (text === null) continue;
		if (typeof fallback === "boolean") state[name] = text === "1";
		else state[name] = typeof fallback === "number" ? Number(text) || fallback : text;
	}
	return state as T;
}

/* { down: false } may become true. */
type Widened<T> = { [Key in keyof T]: T[Key] extends boolean ? boolean : T[Key] extends number ? number : string };

/* State in the query, of the types of its defaults, which are left out of the URL. */
export function useQueryState<T extends Record<string, Value>>(
	defaults: T,
): [Widened<T>, (part: Partial<Widened<T>>) => void] {
	const place = usePlace();
	const change = (part: Partial<Widened<T>>) => {
		const now = placeNow();
		const next: Record<string, Value> = { ...parse(now.query, defaults), ...part };
		for (const [name, value] of Object.entries(next)) {
			if (value === defaults[name]) now.query.delete(name);
			else now.query.set(name, typeof value === "boolean" ? (value ? "1" : "0") : String(value));
		}
		const query = now.query.toString();
		go(`#${now.path}${query ? "?" + query : ""}`, true);
	};
	return [parse(place.query, defaults) as Widened<T>, change];
}
