/* All targets: what initiators log in to. */
import { type Target, allSessions, allTargets, byName, TOP_MAX, useTop } from "../api/lists";
import { useLoaded } from "../api/use";
import { count, rateText } from "../format";
import { href, useQueryState } from "../router";
import { useMay } from "../session";
import { Badge, Button } from "../ui/controls";
import { countText, Filter } from "../ui/filter";
import { Head } from "../ui/page";
import { Await, Empty } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { CreateTarget } from "./target_dialogs";

const REFRESH_MS = 5000;

export function TargetState({ target }: { target: Target }) {
	if (target.status?.state === "error") return <Badge tone="error">error</Badge>;
	return target.enabled === false ? (
		<Badge tone="off">disabled</Badge>
	) : (
		<Badge tone="ok">{target.status?.state ?? "ok"}</Badge>
	);
}

export function accessText(target: Target): string {
	if (target.open) return "anyone";
	const initiators = Object.keys(target.initiators ?? {}).length,
		groups = Object.keys(target.groups ?? {}).length;
	if (!initiators && !groups) return "this machine only";
	return [initiators ? count(initiators, "initiator") : "", groups ? count(groups, "group") : ""]
		.filter(Boolean)
		.join(", ");
}

export const chapText = (target: Target): string =>
	target.auth?.mutual ? "mutual" : target.auth?.chap ? "CHAP" : "none";

export function TargetsPage() {
	const may = useMay("operator");
	const [state, setState] = useQueryState({ filter: "", sort: "name", down: false, create: false });
	const loaded = useLoaded(
		async () => {
			const [targets, { sessions }] = await Promise.all([allTargets(), allSessions()]);
			const counts = new Map<string, number>();
			sessions.forEach((session) => counts.set(session.target!, (counts.get(session.target!) ?? 0) + 1));
			return { targets, counts };
		},
		[],
		REFRESH_MS,
	);
	const top = useTop("target", TOP_MAX);
	const values = byName(top.data);
	const create = (
		<Button kind="primary" may={may} onClick={() => setState({ create: true })} testid="create">
			Create a target
		</Button>
	);
	const columns = (counts: Map<string, number>): Column<Target>[] => [
		{
			key: "name",
			title: "Name",
			sort: (row) => row.name,
			cell: (row) => (
				<>
					<a href={href("targets", row.name)}>{row.name}</a>
					{row.alias && <span class="dim block">{row.alias}</span>}
				</>
			),
		},
		{
			key: "luns",
			title: "LUNs",
			numeric: true,
			sort: (row) => Object.keys(row.luns ?? {}).length,
			cell: (row) => Object.keys(row.luns ?? {}).length,
		},
		{
			key: "sessions",
			title: "Sessions",
			numeric: true,
			sort: (row) => counts.get(row.name) ?? 0,
			cell: (row) => counts.get(row.name) ?? 0,
		},
		{ key: "access", title: "Who may log in", sort: accessText, cell: accessText },
		{ key: "chap", title: "CHAP", sort: chapText, cell: chapText },
		{
			key: "iops",
			title: "Operations",
			numeric: true,
			sort: (row) => {
				const v = values.get(row.name);
				return v ? (v["read_iops"] ?? 0) + (v["write_iops"] ?? 0) : null;
			},
			cell: (row) => rateText(values.get(row.name), "read_iops", "write_iops", "operations/s"),
		},
		{
			key: "state",
			title: "State",
			sort: (row) => (row.enabled === false ? "disabled" : (row.status?.state ?? "")),
			cell: (row) => <TargetState target={row} />,
		},
	];

	return (
		<>
			<Head
				title="Targets"
				lead="A target is what initiators log in to. It shows them LUNs."
				actions={create}
				may={may}
			/>
			<Await of={loaded} what="the targets">
				{({ targets, counts }) => {
					const needle = state.filter.toLowerCase();
					const rows = targets.filter((target) =>
						`${target.name} ${target.alias} ${target.description}`.toLowerCase().includes(needle),
					);
					if (targets.length === 0)
						return (
							<Empty title="There is no target yet" action={create}>
								Create one, with the LUNs it shows and who may log in.
							</Empty>
						);
					return (
						<>
							<div class="filters">
								<Filter value={state.filter} placeholder="name or alias" onValue={(value) => setState({ filter: value })} />
								<span class="dim" role="status">
									{countText(rows.length, targets.length, "target")}
								</span>
							</div>
							{rows.length === 0 ? (
								<Empty
									title="No target fits the filter"
									action={<Button onClick={() => setState({ filter: "" })}>Clear the filter</Button>}
								/>
							) : (
								<Table
									caption="Targets"
									columns={columns(counts)}
									rows={rows}
									rowKey={(row) => row.name}
									sorting={state}
									onSorting={setState}
									testid="targets"
								/>
							)}
						</>
					);
				}}
			</Await>
			{state.create && may.ok && (
				<CreateTarget onClose={() => setState({ create: false })} onDone={() => void loaded.reload()} />
			)}
		</>
	);
}
