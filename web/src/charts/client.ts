/* GET of a path with a query: what goes wrong is a ProblemError with the daemon's own words. */
import { ask } from "../api/client";

export type Query = Record<string, string | undefined>;

export function requestUrl(path: string, query: Query): string {
	const parts = new URLSearchParams();
	for (const [name, value] of Object.entries(query))
		if (value !== undefined && value !== "")
			parts.set(name, value);
	const text = parts.toString();
	return text ? `${path}?${text}` : path;
}

async function get<T>(url: string, signal?: AbortSignal): Promise<{ data?: T; error?: unknown; response: Response }> {
	const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin",
		signal: signal ?? null });
	return response.ok ? { data: await response.json() as T, response }
		: { error: await response.json().catch(() => undefined) as unknown, response };
}

export async function getJson<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
	return (await ask(get<T>(requestUrl(path, query), signal))).data;
}
