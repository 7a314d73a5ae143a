/* Choosing objects: a search field over check boxes, what is chosen as buttons that take it away. */
import { useEffect, useState } from "preact/hooks";
import type { Schema } from "../api/client";
import { getJson } from "./client";
import { objectLabel } from "./format";
import { type Kind, kindOf } from "./panels";

export interface Choice { object: string; label: string; kind: Kind }

const KIND_TITLES: Record<Kind, string> = { lun: "LUNs", target: "targets", worker: "workers", host: "hosts",
	session: "sessions" };
const KINDS = Object.keys(KIND_TITLES) as Kind[];
const SHOWN_MAX = 100;

interface Page { items: { name: string }[]; next_cursor: string | null }

async function namesOf(path: string, kind: Kind): Promise<Choice[]> {
	const list: Choice[] = [];
	let cursor: string | null = null;
	do {
		const page: Page = await getJson<Page>(path, { limit: "500", cursor: cursor ?? undefined });
		list.push(...page.items.map(({ name }) => ({ object: `${kind}:${name}`, label: name, kind })));
		cursor = page.next_cursor;
	} while (cursor);
	return list;
}

/* What has no list of its own: whoever is measured now. */
async function measured(kind: Kind): Promise<Choice[]> {
	const top = await getJson<Schema["TopList"]>("/api/v1/top", { kind, limit: "100" });
	return top.items.map(({ object, name }) => ({ object, kind, label: kind === "worker" ? objectLabel(object) : name }));
}

/* What can be had: a part that fails is only missing. */
export async function choices(): Promise<Choice[]> {
	const parts = [namesOf("/api/v1/luns", "lun"), namesOf("/api/v1/targets", "target"), measured("worker"), measured("host"),
		measured("session")];
	return (await Promise.all(parts.map((part) => part.catch(() => [] as Choice[])))).flat();
}

export function useChoices(): Choice[] {
	const [list, setList] = useState<Choice[]>([]);
	useEffect(() => {
		let gone = false;
		void choices().then((all) => { if (!gone) setList(all); });
		return () => { gone = true; };
	}, []);
	return list;
}

function wholeKinds(list: Choice[]): Choice[] {
	return KINDS.filter((kind) => list.filter((choice) => choice.kind === kind).length > 1)
		.map((kind) => ({ object: `${kind}:*`, label: `All ${KIND_TITLES[kind]}`, kind }));
}

export function choiceLabel(object: string): string {
	return object.endsWith(":*") ? `All ${KIND_TITLES[kindOf(object)]}` : objectLabel(object, true);
}

function toggled(chosen: string[], object: string): string[] {
	if (chosen.includes(object))
		return chosen.filter((one) => one !== object);
	const kind = kindOf(object);
	return [...chosen.filter((one) => object.endsWith(":*") ? kindOf(one) !== kind : one !== `${kind}:*`), object];
}

export function Picker({ list, chosen, onChange }: { list: Choice[]; chosen: string[]; onChange(next: string[]): void }) {
	const [search, setSearch] = useState("");
	const wanted = search.trim().toLowerCase();
	const found = [...wholeKinds(list), ...list].filter((choice) => choice.object.toLowerCase().includes(wanted) ||
		choice.label.toLowerCase().includes(wanted));

	return <div class="picker">
		<div class="picker-chosen">{chosen.map((object) => <button key={object} type="button"
			aria-label={`Remove ${choiceLabel(object)}`} onClick={() => onChange(chosen.filter((one) => one !== object))}>
			{choiceLabel(object)} <span aria-hidden="true">×</span></button>)}</div>
		<details class="picker-more">
			<summary>Choose objects</summary>
			<input type="search" aria-label="Search objects" placeholder="Search LUNs, targets, workers, sessions" value={search}
				onInput={(event) => setSearch(event.currentTarget.value)} />
			<div class="picker-list" role="group" aria-label="Objects">
				{KINDS.map((kind) => {
					const mine = found.filter((choice) => choice.kind === kind);
					return mine.length > 0 && <fieldset key={kind}><legend>{KIND_TITLES[kind][0]!.toUpperCase() + KIND_TITLES[kind].slice(1)}</legend>
						{mine.slice(0, SHOWN_MAX).map((choice) => <label key={choice.object}>
							<input type="checkbox" checked={chosen.includes(choice.object)}
								onChange={() => onChange(toggled(chosen, choice.object))} /> {choice.label}
						</label>)}
						{mine.length > SHOWN_MAX && <p>{mine.length - SHOWN_MAX} more: search for them.</p>}
					</fieldset>;
				})}
				{found.length === 0 && <p>{list.length ? "No object has that in its name." : "Reading …"}</p>}
			</div>
		</details>
	</div>;
}
