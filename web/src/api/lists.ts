/* What several pages ask for. */
import { useEffect, useState } from "preact/hooks";
import { subscribe } from "../charts/live";
import type { Values } from "../format";
import { PAGE_SIZE, type Schema, all, ask, client } from "./client";
import { useLoaded } from "./use";

export type Lun = Schema["Lun"] & { name: string };
export type Target = Schema["Target"] & { name: string };
export type Session = Schema["Session"];
export type Portal = Schema["Portal"] & { name: string };

const page = (cursor?: string) => ({ limit: PAGE_SIZE, ...(cursor ? { cursor } : {}) });

export const allLuns = () =>
	all((cursor) => client.GET("/api/v1/luns", { params: { query: page(cursor) } })) as Promise<Lun[]>;
export const allTargets = () =>
	all((cursor) => client.GET("/api/v1/targets", { params: { query: page(cursor) } })) as Promise<Target[]>;
export const allPortals = () =>
	all((cursor) => client.GET("/api/v1/portals", { params: { query: page(cursor) } })) as Promise<Portal[]>;
export const allStores = () => all((cursor) => client.GET("/api/v1/stores", { params: { query: page(cursor) } }));

export async function allSessions(target?: string): Promise<{ sessions: Session[]; unreachable: string[] }> {
	const unreachable = new Set<string>();
	const sessions = await all(async (cursor) => {
		const result = await client.GET("/api/v1/sessions", {
			params: { query: { ...page(cursor), ...(target ? { target } : {}) } },
		});
		result.data?.unreachable?.forEach((worker) => unreachable.add(worker));
		return result;
	});
	return { sessions, unreachable: [...unreachable] };
}

/* Where a LUN is shown. */
export interface Shown {
	target: string;
	number: string;
	readOnly: boolean;
}

export function shownAt(targets: Target[]): Map<string, Shown[]> {
	const map = new Map<string, Shown[]>();
	for (const target of targets)
		for (const [number, mapping] of Object.entries(target.luns ?? {}))
			map.set(mapping.lun, [
				...(map.get(mapping.lun) ?? []),
				{ target: target.name, number, readOnly: !!mapping.read_only },
			]);
	return map;
}

/* The lowest number that a target does not use. */
export function freeNumber(target: Target | undefined): string {
	let number = 0;
	while (target?.luns?.[number]) number++;
	return String(number);
}

export type Kind = "lun" | "target" | "session" | "worker";
export const TOP_MAX = 1000;
const TOP_MS = 2000;

/* What the busiest objects of a kind do now, the busiest first. */
export function useTop(kind: Kind, limit: number) {
	return useLoaded(
		async () => (await ask(client.GET("/api/v1/top", { params: { query: { kind, limit } } }))).data.items,
		[kind, limit],
		TOP_MS,
	);
}

export function byName(items: Schema["TopItem"][] | undefined): Map<string, Values> {
	return new Map((items ?? []).map((item) => [item.name, item.values as Values]));
}

/* The newest sample of some objects, each second. */
export function useLive(objects: string[], metrics: string[]): { objects: Map<string, Values>; problem: string } {
	const [state, setState] = useState({ objects: new Map<string, Values>(), problem: "" });
	useEffect(
		() =>
			subscribe({
				objects,
				metrics,
				onSample: (sample) =>
					setState({ objects: new Map(sample.samples.map((one) => [one.object, one.values])), problem: "" }),
				onState: (stream, problem) => {
					if (stream === "waiting" || stream === "refused") setState((old) => ({ ...old, problem }));
				},
			}),
		[objects.join(), metrics.join()],
	);
	return state;
}
