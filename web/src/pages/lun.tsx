/* One LUN: its facts, its charts, where it is shown, its backend objects, reservations and events. */
import { useState } from "preact/hooks";
import { ObjectCharts } from "../charts";
import { type Schema, ask, client } from "../api/client";
import { type Lun, type Shown, allTargets, shownAt, useLive } from "../api/lists";
import { useLoaded } from "../api/use";
import { isAbout, useEvents } from "../events";
import { bytesText, count, timeFull } from "../format";
import { type Params, go, href } from "../router";
import { type May, useMay } from "../session";
import { toast } from "../ui/announce";
import { Button, Copy } from "../ui/controls";
import { Confirm } from "../ui/dialog";
import { EventList } from "../ui/event_list";
import { FactRow, Facts, Head, Panel } from "../ui/page";
import { Await } from "../ui/states";
import { Table } from "../ui/table";
import { AssignLun, GrowLun, RemoveLun, UnassignLun } from "./lun_dialogs";
import { LunState, Used } from "./luns";

const REFRESH_MS = 10000,
	OBJECTS_SHOWN = 50;

function LunFacts({ lun, used }: { lun: Lun; used: number | null | undefined }) {
	return (
		<Panel title="About">
			<Facts>
				<FactRow name="State">
					<LunState lun={lun} />
					{lun.status?.detail && <> {lun.status.detail}</>}
				</FactRow>
				<FactRow name="Size">
					{bytesText(lun.size_bytes)} <span class="dim">{count(lun.size_bytes, "byte")}</span>
				</FactRow>
				<FactRow name="Used">
					<Used used={used} size={lun.size_bytes} />
				</FactRow>
				<FactRow name="Block size">
					{lun.block_size} <span class="dim">physical {lun.physical_block_size}</span>
				</FactRow>
				<FactRow name="Store">
					{lun.store}, {lun.thin ? "thin" : "reserved at creation"}
				</FactRow>
				<FactRow name="NAA">
					<code>{lun.naa}</code> <Copy text={lun.naa ?? ""} what="the NAA identifier" />
				</FactRow>
				<FactRow name="Serial">
					<code>{lun.serial}</code> <Copy text={lun.serial ?? ""} what="the serial number" />
				</FactRow>
				<FactRow name="UUID">
					<code>{lun.id}</code>
				</FactRow>
				<FactRow name="Created">{timeFull(lun.created_at)}</FactRow>
				{lun.description && <FactRow name="Description">{lun.description}</FactRow>}
			</Facts>
		</Panel>
	);
}

function ShownBy({
	shown,
	may,
	onAssign,
	onUnassign,
}: {
	shown: Shown[];
	may: May;
	onAssign(): void;
	onUnassign(shown: Shown): void;
}) {
	return (
		<Panel
			title="Shown by targets"
			testid="shown-by"
			actions={
				<Button may={may} onClick={onAssign}>
					Assign to a target
				</Button>
			}
		>
			{shown.length === 0 ? (
				<p class="dim pad">No target shows it: no initiator can use it yet.</p>
			) : (
				<Table
					caption="Targets that show this LUN"
					rows={shown}
					rowKey={(row) => row.target + row.number}
					columns={[
						{
							key: "target",
							title: "Target",
							cell: (row) => <a href={href("targets", row.target)}>{row.target}</a>,
						},
						{ key: "number", title: "LUN number", numeric: true, cell: (row) => row.number },
						{
							key: "access",
							title: "Access",
							cell: (row) => (row.readOnly ? "read only" : "read and write"),
						},
						{
							key: "do",
							title: "Actions",
							cell: (row) => (
								<Button may={may} label={`Unassign from ${row.target}`} onClick={() => onUnassign(row)}>
									Unassign
								</Button>
							),
						},
					]}
				/>
			)}
		</Panel>
	);
}

function Mapping({ name }: { name: string }) {
	const map = useLoaded(
		async () => (await ask(client.GET("/api/v1/luns/{lun}/map", { params: { path: { lun: name } } }))).data,
		[name],
	);
	return (
		<Panel title="Where its blocks are">
			<Await of={map} what="the mapping">
				{(data) => (
					<>
						<p class="pad">
							{count(data.objects.length, "backend object")}, generation {data.generation}.
						</p>
						<Table
							caption="Backend objects in the order of their blocks"
							rows={data.objects.slice(0, OBJECTS_SHOWN)}
							rowKey={(row) => row.id}
							columns={[
								{ key: "id", title: "Object", cell: (row) => <code>{row.id}</code> },
								{
									key: "first",
									title: "First block",
									numeric: true,
									cell: (row) => row.first_lba.toLocaleString("en"),
								},
								{
									key: "blocks",
									title: "Blocks",
									numeric: true,
									cell: (row) => row.blocks.toLocaleString("en"),
								},
								{ key: "state", title: "State", cell: (row) => (row.degraded ? "degraded" : "ok") },
							]}
						/>
						{data.objects.length > OBJECTS_SHOWN && (
							<p class="dim pad">
								The first {OBJECTS_SHOWN} are shown; all: <code>lunette lun map {name}</code>
							</p>
						)}
					</>
				)}
			</Await>
		</Panel>
	);
}

interface Registration {
	initiator?: string;
	name?: string;
	key?: string;
	[member: string]: unknown;
}

function Reservations({ name, may }: { name: string; may: May }) {
	const [clearing, setClearing] = useState(false);
	const loaded = useLoaded(
		async () =>
			(await ask(client.GET("/api/v1/luns/{lun}/reservations", { params: { path: { lun: name } } }))).data,
		[name],
		REFRESH_MS,
	);
	const text = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));
	return (
		<Panel title="Persistent reservations">
			<Await of={loaded} what="the reservations">
				{(data: Schema["Reservations"]) => {
					const registrations = (data.registrations ?? []) as Registration[];
					const keys = [...new Set(registrations.flatMap(Object.keys))];
					const held = data.type;
					if (!data.served)
						return (
							<p class="dim pad">
								No worker serves the LUN at the moment, so nothing can be said about reservations.
							</p>
						);
					if (registrations.length === 0)
						return (
							<p class="dim pad">
								No initiator has registered a key. Clusters do that when they share the LUN.
							</p>
						);
					return (
						<>
							<p class="pad">
								{held ? `Held: ${text(held)}.` : "Registered, but not held by anyone."}{" "}
								<Button may={may} onClick={() => setClearing(true)}>
									Clear
								</Button>
							</p>
							<Table
								caption="Registrations"
								rows={registrations}
								rowKey={(row) => JSON.stringify(row)}
								columns={keys.map((key) => ({
									key,
									title: key.replaceAll("_", " "),
									cell: (row: Registration) => text(row[key]),
								}))}
							/>
						</>
					);
				}}
			</Await>
			{clearing && (
				<Confirm
					title="Clear all reservations"
					submit="Clear"
					name={name}
					onClose={() => setClearing(false)}
					work={async () => {
						await ask(
							client.DELETE("/api/v1/luns/{lun}/reservations", { params: { path: { lun: name } } }),
						);
						toast(`Reservations of ${name} are cleared`);
						await loaded.reload();
					}}
				>
					<p>
						A cluster that relies on the reservation may write from two nodes at once. Do this only when its
						nodes are stopped.
					</p>
				</Confirm>
			)}
		</Panel>
	);
}

type Doing = { what: "assign" | "grow" | "remove" } | { what: "unassign"; shown: Shown } | null;

export function LunPage({ params }: { params: Params }) {
	const name = params["lun"]!;
	const may = useMay("operator");
	const [doing, setDoing] = useState<Doing>(null);
	const loaded = useLoaded(
		async () => {
			const [lun, targets] = await Promise.all([
				ask(client.GET("/api/v1/luns/{lun}", { params: { path: { lun: name } } })),
				allTargets(),
			]);
			return { lun: lun.data as Lun, shown: shownAt(targets).get(name) ?? [] };
		},
		[name],
		REFRESH_MS,
	);
	const { objects } = useLive([`lun:${name}`], ["allocated_bytes"]);
	const { events } = useEvents();
	const done = () => void loaded.reload();
	const close = () => setDoing(null);
	const missing = loaded.problem?.status === 404;
	const data = loaded.data;

	return (
		<>
			<Head
				title={name}
				trail={["LUNs", "#/luns"]}
				may={may}
				lead={data?.lun.description}
				actions={
					data &&
					!missing && (
						<>
							<Button may={may} onClick={() => setDoing({ what: "grow" })} testid="grow">
								Grow
							</Button>
							<Button
								may={may}
								kind="danger"
								onClick={() => setDoing({ what: "remove" })}
								testid="remove"
							>
								Remove
							</Button>
						</>
					)
				}
			/>
			<Await of={loaded} what="the LUN">
				{({ lun, shown }) => (
					<>
						<div class="columns">
							<LunFacts lun={lun} used={objects.get(`lun:${name}`)?.["allocated_bytes"]} />
							<ShownBy
								shown={shown}
								may={may}
								onAssign={() => setDoing({ what: "assign" })}
								onUnassign={(one) => setDoing({ what: "unassign", shown: one })}
							/>
						</div>
						<Panel title="Charts">
							<ObjectCharts object={`lun:${name}`} />
						</Panel>
						<div class="columns">
							<Reservations name={name} may={may} />
							<Panel title="Events">
								<EventList
									events={events.filter((event) => isAbout(event, `lun:${name}`)).slice(0, 20)}
									none="Nothing has happened to it since the daemon started."
								/>
							</Panel>
						</div>
						<Mapping name={name} />
						{doing?.what === "grow" && <GrowLun lun={lun} onClose={close} onDone={done} />}
						{doing?.what === "assign" && <AssignLun lun={name} onClose={close} onDone={done} />}
						{doing?.what === "unassign" && (
							<UnassignLun lun={name} shown={doing.shown} onClose={close} onDone={done} />
						)}
						{doing?.what === "remove" && (
							<RemoveLun lun={lun} shown={shown} onClose={close} onDone={() => go("#/luns")} />
						)}
					</>
				)}
			</Await>
			{missing && (
				<p>
					<a href="#/luns">All LUNs</a>
				</p>
			)}
		</>
	);
}
