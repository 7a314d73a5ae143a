/* Who changed what: done, tried and refused. For administrators. */
import { useEffect, useState } from "preact/hooks";
import { type Schema, ask, client } from "../api/client";
import { useAction, useLoaded } from "../api/use";
import { timeFull, timeShort } from "../format";
import { useQueryState } from "../router";
import { Badge, Button, Copy } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { ObjectLink } from "../ui/event_list";
import { Filter } from "../ui/filter";
import { Head } from "../ui/page";
import { Await, Empty, ProblemNote } from "../ui/states";
import { type Column, Table } from "../ui/table";

type Entry = Schema["AuditEntry"];

const PAGE = 100,
	TYPING_MS = 300;

function page(actor: string, object: string, cursor?: string) {
	return ask(
		client.GET("/api/v1/audit", {
			params: {
				query: {
					limit: PAGE,
					...(actor ? { actor } : {}),
					...(object ? { object } : {}),
					...(cursor ? { cursor } : {}),
				},
			},
		}),
	).then((answer) => answer.data);
}

function Outcome({ entry }: { entry: Entry }) {
	if (entry.status >= 400)
		return (
			<Badge tone="error">
				refused {entry.status}
				{entry.code ? `, ${entry.code}` : ""}
			</Badge>
		);
	return entry.dry_run ? <Badge tone="off">tried only</Badge> : <Badge tone="ok">done</Badge>;
}

function Details({ entry, onClose }: { entry: Entry; onClose(): void }) {
	const text = (value: unknown) =>
		value === undefined || value === null ? "(nothing)" : JSON.stringify(value, null, 2);
	return (
		<Dialog title={`${entry.method} ${entry.object}`} onClose={onClose} wide>
			<p>
				{timeFull(entry.time)}, by {entry.actor}
				{entry.peer && ` from ${entry.peer}`}. <Outcome entry={entry} />
			</p>
			{entry.request_id && (
				<p class="dim">
					Request {entry.request_id} <Copy text={entry.request_id} what="the request id" />
				</p>
			)}
			<div class="columns">
				<div>
					<h3>Before</h3>
					<pre tabIndex={0}>{text(entry.before)}</pre>
				</div>
				<div>
					<h3>After</h3>
					<pre tabIndex={0}>{text(entry.after)}</pre>
				</div>
			</div>
		</Dialog>
	);
}

/* What is typed, once one has stopped. */
function useSettled(value: string): string {
	const [settled, setSettled] = useState(value);
	useEffect(() => {
		const timer = window.setTimeout(() => setSettled(value), TYPING_MS);
		return () => window.clearTimeout(timer);
	}, [value]);
	return settled;
}

export function AuditPage() {
	const [state, setState] = useQueryState({ actor: "", object: "" });
	const actor = useSettled(state.actor),
		object = useSettled(state.object);
	const [more, setMore] = useState<{ items: Entry[]; next_cursor: string | null } | null>(null);
	const [shown, setShown] = useState<Entry | null>(null);
	const action = useAction();
	const loaded = useLoaded(async () => {
		const first = await page(actor, object);
		setMore(null);
		return first;
	}, [actor, object]);
	const filtered = !!(state.actor || state.object);
	const columns: Column<Entry>[] = [
		{
			key: "time",
			title: "When",
			cell: (row) => (
				<time dateTime={row.time} title={timeFull(row.time)}>
					{timeShort(row.time)}
				</time>
			),
		},
		{
			key: "actor",
			title: "Who",
			cell: (row) => (
				<>
					{row.actor}
					{row.peer && <span class="dim block">{row.peer}</span>}
				</>
			),
		},
		{ key: "method", title: "Did", cell: (row) => row.method },
		{ key: "object", title: "To", cell: (row) => <ObjectLink object={row.object} /> },
		{ key: "status", title: "Outcome", cell: (row) => <Outcome entry={row} /> },
		{
			key: "do",
			title: "Details",
			cell: (row) => (
				<Button label={`Details of change ${row.id}`} onClick={() => setShown(row)}>
					Details
				</Button>
			),
		},
	];

	return (
		<>
			<Head
				title="Audit"
				lead="Every change that was made, tried or refused, the newest first."
				actions={<Button onClick={() => void loaded.reload()}>Load anew</Button>}
			/>
			<div class="filters">
				<Filter label="Token" value={state.actor} placeholder="admin" onValue={(value) => setState({ actor: value.trim() })} />
				<Filter label="Object" value={state.object} placeholder="lun:vol1" onValue={(value) => setState({ object: value.trim() })} />
				<span class="dim">Whole names, as they stand in the table.</span>
			</div>
			<Await of={loaded} what="the audit log">
				{(first) => {
					const rows = [...first.items, ...(more?.items ?? [])];
					const next = more ? more.next_cursor : first.next_cursor;
					if (rows.length === 0)
						return filtered ? (
							<Empty
								title="No change fits the filter"
								action={
									<Button onClick={() => setState({ actor: "", object: "" })}>
										Clear the filter
									</Button>
								}
							/>
						) : (
							<Empty title="Nothing was changed yet">
								The first change by page, command or REST appears here.
							</Empty>
						);
					return (
						<>
							<Table
								caption="Changes"
								columns={columns}
								rows={rows}
								rowKey={(row) => row.id}
								testid="audit"
							/>
							{action.problem && <ProblemNote problem={action.problem.problem} />}
							{next && (
								<p class="actions">
									<Button
										busy={action.busy}
										onClick={() =>
											void action.run(async () => {
												const rest = await page(actor, object, next);
												setMore({
													items: [...(more?.items ?? []), ...rest.items],
													next_cursor: rest.next_cursor,
												});
											})
										}
									>
										Older ones
									</Button>
								</p>
							)}
						</>
					);
				}}
			</Await>
			{shown && <Details entry={shown} onClose={() => setShown(null)} />}
		</>
	);
}
