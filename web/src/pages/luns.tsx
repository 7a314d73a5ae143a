/* All LUNs: what they are, how full, how busy, where they are shown. */
import { useMemo, useState } from "preact/hooks";
import { type Lun, type Shown, TOP_MAX, allLuns, allTargets, byName, shownAt, useTop } from "../api/lists";
import { useLoaded } from "../api/use";
import { type Values, bytesText, latencyText, most, rateText, sum } from "../format";
import { href, useQueryState } from "../router";
import { useMay } from "../session";
import { Badge, Button, Meter } from "../ui/controls";
import { countText, Filter } from "../ui/filter";
import { Head } from "../ui/page";
import { Await, Empty } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { AssignLun, CreateLun, GrowLun, RemoveLun } from "./lun_dialogs";

const REFRESH_MS = 10000;

interface Row {
	lun: Lun;
	shown: Shown[];
	values: Values | undefined;
}
type Doing = { what: "assign" | "grow" | "remove"; row: Row } | null;

export const usedPart = (used: number | null | undefined, size: number) => (used == null || !size ? null : used / size);

export function LunState({ lun }: { lun: Lun }) {
	const state = lun.status?.state ?? "ok";
	return state === "error" ? (
		<Badge tone="error">error</Badge>
	) : lun.read_only ? (
		<Badge tone="info">read only</Badge>
	) : (
		<Badge tone="ok">{state}</Badge>
	);
}

function ShownBy({ shown }: { shown: Shown[] }) {
	if (shown.length === 0) return <span class="dim">not assigned</span>;
	return (
		<ul class="plain">
			{shown.map((one) => (
				<li key={one.target + one.number}>
					<a class="iqn" href={href("targets", one.target)}>
						{one.target}
					</a>{" "}
					<span class="dim nowrap">
						LUN {one.number}
						{one.readOnly && ", read only"}
					</span>
				</li>
			))}
		</ul>
	);
}

function columns(onDo: (doing: Doing) => void, may: ReturnType<typeof useMay>): Column<Row>[] {
	return [
		{
			key: "name",
			title: "Name",
			sort: ({ lun }) => lun.name,
			cell: ({ lun }) => (
				<>
					<a href={href("luns", lun.name)}>{lun.name}</a>
					{lun.description && <span class="dim block">{lun.description}</span>}
				</>
			),
		},
		{
			key: "size",
			title: "Size",
			numeric: true,
			sort: ({ lun }) => lun.size_bytes,
			cell: ({ lun }) => bytesText(lun.size_bytes),
		},
		{
			key: "used",
			title: "Used",
			numeric: true,
			sort: ({ values }) => values?.["allocated_bytes"] ?? null,
			cell: ({ lun, values }) => <Used used={values?.["allocated_bytes"]} size={lun.size_bytes} />,
		},
		{
			key: "iops",
			title: "Operations",
			numeric: true,
			sort: ({ values }) => sum(values?.["read_iops"], values?.["write_iops"]),
			cell: ({ values }) => rateText(values, "read_iops", "write_iops", "operations/s"),
		},
		{
			key: "latency",
			title: "Latency, 99 %",
			numeric: true,
			sort: ({ values }) => most(values?.["read_latency_p99"], values?.["write_latency_p99"]),
			cell: ({ values }) => latencyText(values),
		},
		{
			key: "targets",
			title: "Shown by",
			sort: ({ shown }) => shown.length,
			cell: ({ shown }) => <ShownBy shown={shown} />,
		},
		{
			key: "state",
			title: "State",
			sort: ({ lun }) => lun.status?.state ?? "",
			cell: ({ lun }) => <LunState lun={lun} />,
		},
		{
			key: "do",
			title: "Actions",
			cell: (row) => (
				<span class="row-actions">
					<Button
						may={may}
						label={`Assign ${row.lun.name} to a target`}
						onClick={() => onDo({ what: "assign", row })}
					>
						Assign
					</Button>
					<Button may={may} label={`Grow ${row.lun.name}`} onClick={() => onDo({ what: "grow", row })}>
						Grow
					</Button>
					<Button
						may={may}
						label={`Remove ${row.lun.name}`}
						kind="quiet"
						onClick={() => onDo({ what: "remove", row })}
					>
						Remove
					</Button>
				</span>
			),
		},
	];
}

export function Used({ used, size }: { used: number | null | undefined; size: number }) {
	const part = usedPart(used, size);
	if (part === null) return <>unknown</>;
	const percent = part > 0 && part < 0.01 ? "<1" : String(Math.round(part * 100));
	return (
		<span class="used">
			{bytesText(used)} <Meter part={part} label={`${percent} % used`} />
		</span>
	);
}

export function LunsPage() {
	const may = useMay("operator");
	const [state, setState] = useQueryState({ filter: "", sort: "name", down: false, create: false });
	const [doing, setDoing] = useState<Doing>(null);
	const loaded = useLoaded(
		async () => {
			const [luns, targets] = await Promise.all([allLuns(), allTargets()]);
			return { luns, shown: shownAt(targets) };
		},
		[],
		REFRESH_MS,
	);
	const top = useTop("lun", TOP_MAX);
	const values = useMemo(() => byName(top.data), [top.data]);
	const create = (
		<Button kind="primary" may={may} onClick={() => setState({ create: true })} testid="create">
			Create a LUN
		</Button>
	);
	const done = () => void loaded.reload();
	const close = () => setDoing(null);

	return (
		<>
			<Head
				title="LUNs"
				lead="A LUN is a disk that initiators see. Targets show it to them under a number."
				actions={create}
				may={may}
			/>
			<Await of={loaded} what="the LUNs">
				{({ luns, shown }) => {
					const needle = state.filter.toLowerCase();
					const rows = luns
						.filter((lun) =>
							`${lun.name} ${lun.description} ${shown
								.get(lun.name)
								?.map((one) => one.target)
								.join(" ")}`
								.toLowerCase()
								.includes(needle),
						)
						.map((lun) => ({ lun, shown: shown.get(lun.name) ?? [], values: values.get(lun.name) }));
					if (luns.length === 0)
						return (
							<Empty title="There is no LUN yet" action={create}>
								Create one, then assign it to a target so that initiators can use it.
							</Empty>
						);
					return (
						<>
							<div class="filters">
								<Filter value={state.filter} placeholder="name, description or target" onValue={(value) => setState({ filter: value })} />
								<span class="dim" role="status">
									{countText(rows.length, luns.length, "LUN")}
									{top.problem && `; live values do not come: ${top.problem.detail}`}
								</span>
							</div>
							{rows.length === 0 ? (
								<Empty
									title="No LUN fits the filter"
									action={<Button onClick={() => setState({ filter: "" })}>Clear the filter</Button>}
								/>
							) : (
								<Table
									caption="LUNs"
									columns={columns(setDoing, may)}
									rows={rows}
									rowKey={(row) => row.lun.name}
									sorting={state}
									onSorting={setState}
									testid="luns"
								/>
							)}
						</>
					);
				}}
			</Await>
			{state.create && may.ok && loaded.data && (
				<CreateLun
					names={loaded.data.luns.map((lun) => lun.name)}
					onClose={() => setState({ create: false })}
					onDone={done}
				/>
			)}
			{doing?.what === "assign" && <AssignLun lun={doing.row.lun.name} onClose={close} onDone={done} />}
			{doing?.what === "grow" && <GrowLun lun={doing.row.lun} onClose={close} onDone={done} />}
			{doing?.what === "remove" && (
				<RemoveLun lun={doing.row.lun} shown={doing.row.shown} onClose={close} onDone={done} />
			)}
		</>
	);
}
