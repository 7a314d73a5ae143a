/* Who is logged in, and what they do. */
import { useState } from "preact/hooks";
import { ask, client } from "../api/client";
import { type Session, TOP_MAX, allSessions, byName, useTop } from "../api/lists";
import { useLoaded } from "../api/use";
import { type Values, agoText, rateText, sum, timeFull } from "../format";
import { href, useQueryState } from "../router";
import { type May, useMay } from "../session";
import { toast } from "../ui/announce";
import { Button } from "../ui/controls";
import { Confirm } from "../ui/dialog";
import { countText, Filter } from "../ui/filter";
import { Head } from "../ui/page";
import { Await, Empty, Note } from "../ui/states";
import { type Column, type Sorting, Table } from "../ui/table";

const REFRESH_MS = 3000;

function digests(session: Session): string {
	const parameters = session.parameters ?? {};
	const on = [parameters["header_digest"] && "header", parameters["data_digest"] && "data"].filter(Boolean);
	return on.length ? on.join(" and ") : "none";
}

function LogOut({ session, onClose, onDone }: { session: Session; onClose(): void; onDone(): void }) {
	return (
		<Confirm
			title="Log the session out"
			submit="Log out"
			onClose={onClose}
			testid="logout-session"
			work={async () => {
				await ask(client.DELETE("/api/v1/sessions/{session}", { params: { path: { session: session.id } } }));
				toast(`The session of ${session.initiator} is ended`);
				onDone();
			}}
		>
			<p>
				The session of <code>{session.initiator}</code> from {session.address} ends at once; commands on their
				way are lost, and its initiator sends them again if it logs in anew.
			</p>
			<p>Most initiators come back within seconds. To keep it out, take it from the target’s access list too.</p>
		</Confirm>
	);
}

function columns(
	values: Map<string, Values>,
	may: May,
	short: boolean,
	onEnd: (session: Session) => void,
): Column<Session>[] {
	const all: (Column<Session> | false)[] = [
		{
			key: "initiator",
			title: "Initiator",
			sort: (row) => row.initiator ?? "",
			cell: (row) => <code>{row.initiator}</code>,
		},
		!short && {
			key: "target",
			title: "Target",
			sort: (row) => row.target ?? "",
			cell: (row) =>
				row.discovery || !row.target ? (
					<span class="dim">discovery</span>
				) : (
					<a class="iqn" href={href("targets", row.target)}>
						{row.target}
					</a>
				),
		},
		{
			key: "address",
			title: "Address",
			sort: (row) => row.address ?? "",
			cell: (row) => <span class="nowrap">{row.address}</span>,
		},
		{
			key: "chap",
			title: "CHAP",
			sort: (row) => (row.authenticated ? "yes" : "no"),
			cell: (row) => (row.authenticated ? "proved" : "none"),
		},
		{ key: "digests", title: "Digests", sort: digests, cell: digests },
		{
			key: "since",
			title: "Since",
			sort: (row) => row.since ?? "",
			cell: (row) => (
				<time dateTime={row.since} title={timeFull(row.since)}>
					{agoText(row.since)}
				</time>
			),
		},
		{
			key: "iops",
			title: "Operations",
			numeric: true,
			sort: (row) => sum(values.get(row.id)?.["read_iops"], values.get(row.id)?.["write_iops"]),
			cell: (row) => rateText(values.get(row.id), "read_iops", "write_iops", "operations/s"),
		},
		{
			key: "bytes",
			title: "Throughput",
			numeric: true,
			sort: (row) => sum(values.get(row.id)?.["read_bytes_per_s"], values.get(row.id)?.["write_bytes_per_s"]),
			cell: (row) => rateText(values.get(row.id), "read_bytes_per_s", "write_bytes_per_s", "bytes/s"),
		},
		{
			key: "do",
			title: "Actions",
			cell: (row) => (
				<Button may={may} label={`Log out ${row.initiator} from ${row.address}`} onClick={() => onEnd(row)}>
					Log out
				</Button>
			),
		},
	];
	return all.filter((column): column is Column<Session> => !!column);
}

export function SessionTable({
	sessions,
	may,
	onDone,
	short = false,
	sorting,
	onSorting,
}: {
	sessions: Session[];
	may: May;
	onDone(): void;
	short?: boolean;
	sorting?: Sorting;
	onSorting?(sorting: Sorting): void;
}) {
	const top = useTop("session", TOP_MAX);
	const [ending, setEnding] = useState<Session | null>(null);
	return (
		<>
			<Table
				caption="Sessions"
				rows={sessions}
				rowKey={(row) => row.id}
				columns={columns(byName(top.data), may, short, setEnding)}
				testid="sessions"
				{...(sorting && onSorting ? { sorting, onSorting } : {})}
			/>
			{ending && <LogOut session={ending} onClose={() => setEnding(null)} onDone={onDone} />}
		</>
	);
}

export function SessionsPage() {
	const may = useMay("operator");
	const [state, setState] = useQueryState({ filter: "", sort: "initiator", down: false });
	const loaded = useLoaded(() => allSessions(), [], REFRESH_MS);
	return (
		<>
			<Head title="Sessions" lead="A session is an initiator that is logged in to a target." may={may} />
			<Await of={loaded} what="the sessions">
				{({ sessions, unreachable }) => {
					const needle = state.filter.toLowerCase();
					const rows = sessions.filter((row) =>
						`${row.initiator} ${row.target} ${row.address}`.toLowerCase().includes(needle),
					);
					return (
						<>
							{unreachable.length > 0 && (
								<Note kind="warning">
									{unreachable.join(", ")} could not be asked; their sessions are missing here.
								</Note>
							)}
							{sessions.length === 0 ? (
								<Empty
									title="No initiator is logged in"
									action={
										<a class="button" href="#/targets">
											Go to the targets
										</a>
									}
								>
									The page of a target has the commands that connect an initiator to it.
								</Empty>
							) : (
								<>
									<div class="filters">
										<Filter value={state.filter} placeholder="initiator, target or address" onValue={(value) => setState({ filter: value })} />
										<span class="dim" role="status">
											{countText(rows.length, sessions.length, "session")}
										</span>
									</div>
									{rows.length === 0 ? (
										<Empty
											title="No session fits the filter"
											action={
												<Button onClick={() => setState({ filter: "" })}>
													Clear the filter
												</Button>
											}
										/>
									) : (
										<SessionTable
											sessions={rows}
											may={may}
											onDone={() => void loaded.reload()}
											sorting={state}
											onSorting={setState}
										/>
									)}
								</>
							)}
						</>
					);
				}}
			</Await>
		</>
	);
}
