/* One target: what it shows, to whom, who is there, and what to type on an initiator. */
import { useState } from "preact/hooks";
import { ObjectCharts } from "../charts";
import { type Schema, ask, client } from "../api/client";
import { type Portal, type Session, type Shown, type Target, allPortals, allSessions } from "../api/lists";
import { useLoaded } from "../api/use";
import { SYSTEMS, type System, reachable, stepsFor } from "../commands";
import { isAbout, useEvents } from "../events";
import { timeFull } from "../format";
import { type Params, go, href, useQueryState } from "../router";
import { recall } from "../secrets";
import { type May, useMay } from "../session";
import { Badge, Button, Copy, Segments } from "../ui/controls";
import { EventList } from "../ui/event_list";
import { FactRow, Facts, Head, Panel } from "../ui/page";
import { Await, Note } from "../ui/states";
import { Table } from "../ui/table";
import { AssignLun, UnassignLun } from "./lun_dialogs";
import { SessionTable } from "./sessions";
import { AddInitiator, EditChap, EditTarget, RemoveInitiator, RemoveTarget } from "./target_dialogs";
import { TargetState, accessText, chapText } from "./targets";

const REFRESH_MS = 5000;

interface Data {
	target: Target;
	paths: Schema["PortGroupState"][];
	portals: Portal[];
	sessions: Session[];
	discoveryUser: string;
}

async function load(name: string): Promise<Data> {
	const [target, paths, portals, { sessions }, settings] = await Promise.all([
		ask(client.GET("/api/v1/targets/{target}", { params: { path: { target: name } } })),
		ask(client.GET("/api/v1/targets/{target}/port-groups", { params: { path: { target: name } } })),
		allPortals(),
		allSessions(name),
		ask(client.GET("/api/v1/settings")),
	]);
	return {
		target: target.data as Target,
		paths: paths.data.items,
		sessions,
		discoveryUser: settings.data.discovery_auth?.chap?.user ?? "",
		portals: portals.filter((portal) => (target.data.portals ?? ["default"]).includes(portal.name)),
	};
}

type Doing =
	| { what: "edit" | "chap" | "assign" | "initiator" | "remove" }
	| { what: "unassign"; shown: Shown; lun: string }
	| { what: "deny"; name: string }
	| null;

/* Access states (ALUA); the usual one, of all, is not worth a word. */
function PathStates({ paths }: { paths: Data["paths"] }) {
	if (paths.every((path) => path.state === "active_optimized")) return null;
	return (
		<FactRow name="Paths">
			<ul class="plain">
				{paths.map((path) => (
					<li key={path.id}>
						tag {path.id}{" "}
						<Badge tone={path.state.startsWith("active") ? "ok" : "warning"}>{path.state.replace("_", " ")}</Badge>
						{path.set_by === "initiator" && <span class="dim"> set by an initiator</span>}
					</li>
				))}
			</ul>
		</FactRow>
	);
}

function TargetFacts({
	target,
	paths,
	portals,
	may,
	onEdit,
}: {
	target: Target;
	paths: Data["paths"];
	portals: Portal[];
	may: May;
	onEdit(): void;
}) {
	return (
		<Panel title="About">
			<Facts>
				<FactRow name="State">
					<TargetState target={target} />
					{target.status?.detail && <> {target.status.detail}</>}
				</FactRow>
				<FactRow name="Name">
					<code>{target.name}</code> <Copy text={target.name} what="the name of the target" />
				</FactRow>
				{target.alias && <FactRow name="Alias">{target.alias}</FactRow>}
				{target.description && <FactRow name="Description">{target.description}</FactRow>}
				<FactRow name="Portals">
					<ul class="plain">
						{portals.map((portal) => (
							<li key={portal.name}>
								<code>{portal.status?.address ?? portal.address}</code>{" "}
								{portal.status?.state === "error" ? (
									<Badge tone="error">{portal.status.detail ?? "error"}</Badge>
								) : (
									<Badge tone="ok">{portal.status?.state ?? "ok"}</Badge>
								)}
							</li>
						))}
					</ul>
				</FactRow>
				<PathStates paths={paths} />
				<FactRow name="Who may log in">{accessText(target)}</FactRow>
				<FactRow name="From">{target.addresses?.length ? target.addresses.join(", ") : "any address"}</FactRow>
				<FactRow name="CHAP">
					{chapText(target)}
					{target.auth?.chap && (
						<>
							{" "}
							<span class="dim">user {target.auth.chap.user}</span>
						</>
					)}{" "}
					<Button may={may} onClick={onEdit} label="Change CHAP">
						Change
					</Button>
				</FactRow>
				{target.redirect && <FactRow name="Moved to">{target.redirect.address}</FactRow>}
				<FactRow name="Created">{timeFull(target.created_at)}</FactRow>
			</Facts>
		</Panel>
	);
}

function Luns({ target, may, onDo }: { target: Target; may: May; onDo(doing: Doing): void }) {
	const rows = Object.entries(target.luns ?? {}).sort(([a], [b]) => Number(a) - Number(b));
	return (
		<Panel
			title="LUNs"
			testid="target-luns"
			actions={
				<Button may={may} onClick={() => onDo({ what: "assign" })}>
					Assign a LUN
				</Button>
			}
		>
			{rows.length === 0 ? (
				<p class="dim pad">It shows no LUN yet: an initiator that logs in sees no disk.</p>
			) : (
				<Table
					caption="LUNs of this target"
					rows={rows}
					rowKey={([number]) => number}
					columns={[
						{ key: "number", title: "Number", cell: ([number]) => number },
						{
							key: "lun",
							title: "LUN",
							cell: ([, mapping]) => <a href={href("luns", mapping.lun)}>{mapping.lun}</a>,
						},
						{
							key: "access",
							title: "Access",
							cell: ([, mapping]) => (mapping.read_only ? "read only" : "read and write"),
						},
						{
							key: "do",
							title: "Actions",
							cell: ([number, mapping]) => (
								<Button
									may={may}
									label={`Unassign ${mapping.lun}`}
									onClick={() =>
										onDo({
											what: "unassign",
											lun: mapping.lun,
											shown: { target: target.name, number, readOnly: !!mapping.read_only },
										})
									}
								>
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

function Initiators({ target, may, onDo }: { target: Target; may: May; onDo(doing: Doing): void }) {
	const rows = Object.entries(target.initiators ?? {});
	const groups = Object.keys(target.groups ?? {});
	return (
		<Panel
			title="Initiators that may log in"
			testid="target-initiators"
			actions={
				<Button may={may} onClick={() => onDo({ what: "initiator" })}>
					Add an initiator
				</Button>
			}
		>
			{target.open && (
				<p class="pad">The target is open: any initiator may log in, also one that is not in this list.</p>
			)}
			{rows.length === 0 ? (
				!target.open &&
				!groups.length && (
					<p class="dim pad">
						None is named: only initiators of this machine may log in, by a loopback portal.
					</p>
				)
			) : (
				<Table
					caption="Initiators that may log in"
					rows={rows}
					rowKey={([name]) => name}
					columns={[
						{ key: "name", title: "Name", cell: ([name]) => <code>{name}</code> },
						{
							key: "luns",
							title: "Sees",
							cell: ([, one]) => (one.luns ? `LUN ${one.luns.join(", ")}` : "all LUNs"),
						},
						{
							key: "access",
							title: "Access",
							cell: ([, one]) => (one.read_only ? "read only" : "as the LUN"),
						},
						{
							key: "chap",
							title: "CHAP",
							cell: ([, one]) => (one.auth?.chap ? `own, user ${one.auth.chap.user}` : "the target’s"),
						},
						{
							key: "do",
							title: "Actions",
							cell: ([name]) => (
								<Button may={may} label={`Remove ${name}`} onClick={() => onDo({ what: "deny", name })}>
									Remove
								</Button>
							),
						},
					]}
				/>
			)}
			{groups.length > 0 && <p class="pad">Also the members of the groups {groups.join(", ")}.</p>}
		</Panel>
	);
}

function Commands({ data }: { data: Data }) {
	const { target, portals } = data;
	const [state, setState] = useQueryState({ system: "linux" });
	const system = state.system as System;
	const known = recall(target.name);
	const addresses = portals.map((portal) => portal.status?.address ?? portal.address);
	const at = reachable(addresses, location.hostname);
	const loopback = at.length > 0 && at.every((portal) => /^(127\.|\[::1\])/.test(portal));
	if (at.length === 0)
		return (
			<Panel title="Connect an initiator">
				<p class="dim pad">The target has no portal, so initiators cannot reach it.</p>
			</Panel>
		);
	const steps = stepsFor(SYSTEMS.some(([name]) => name === system) ? system : "linux", {
		target: target.name,
		portals: at,
		user: target.auth?.chap?.user ?? "",
		secret: known.secret,
		mutualUser: target.auth?.mutual?.user ?? "",
		mutualSecret: known.mutual,
		discoveryUser: data.discoveryUser,
	});
	return (
		<Panel
			title="Connect an initiator"
			testid="commands"
			actions={
				<Segments
					label="System of the initiator"
					value={system}
					onValue={(value) => setState({ system: value })}
					options={SYSTEMS.map(([value, text]) => ({ value, text }))}
				/>
			}
		>
			{target.enabled === false && (
				<Note kind="warning">The target is disabled: logins are refused until it is enabled.</Note>
			)}
			{loopback && (
				<Note>
					Its portals listen on loopback only: these commands work on the daemon’s own machine. For others,
					give a portal an address of the network (
					<code>lunette portal create NAME --address 10.0.0.1:3260</code>).
				</Note>
			)}
			{target.auth?.chap && !known.secret && (
				<Note>
					The CHAP secret is not shown again: put it in place of THE-CHAP-SECRET, or set a new one (CHAP,
					Change).
				</Note>
			)}
			<ol class="commands">
				{steps.map((step) => (
					<li key={step.what + step.command}>
						<p>
							{step.what} <Copy text={step.command} what={step.what} />
						</p>
						<pre tabIndex={0} aria-label={step.what}>
							{step.command}
						</pre>
					</li>
				))}
			</ol>
		</Panel>
	);
}

function Dialogs({ doing, data, onClose, onDone }: { doing: Doing; data: Data; onClose(): void; onDone(): void }) {
	const common = { target: data.target, onClose, onDone };
	switch (doing?.what) {
		case "edit":
			return <EditTarget {...common} />;
		case "chap":
			return <EditChap {...common} />;
		case "assign":
			return <AssignLun target={data.target.name} onClose={onClose} onDone={onDone} />;
		case "unassign":
			return <UnassignLun lun={doing.lun} shown={doing.shown} onClose={onClose} onDone={onDone} />;
		case "initiator":
			return <AddInitiator {...common} />;
		case "deny":
			return <RemoveInitiator {...common} name={doing.name} />;
		case "remove":
			return <RemoveTarget {...common} sessions={data.sessions.length} onDone={() => go("#/targets")} />;
		default:
			return null;
	}
}

export function TargetPage({ params }: { params: Params }) {
	const name = params["target"]!;
	const may = useMay("operator");
	const [doing, setDoing] = useState<Doing>(null);
	const loaded = useLoaded(() => load(name), [name], REFRESH_MS);
	const { events } = useEvents();
	const done = () => void loaded.reload();
	return (
		<>
			<Head
				title={name}
				trail={["Targets", "#/targets"]}
				may={may}
				lead={loaded.data?.target.description}
				actions={
					loaded.data && (
						<>
							<Button may={may} onClick={() => setDoing({ what: "edit" })} testid="edit">
								Edit
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
			<Await of={loaded} what="the target">
				{(data) => (
					<>
						<div class="columns">
							<TargetFacts
								target={data.target}
								paths={data.paths}
								portals={data.portals}
								may={may}
								onEdit={() => setDoing({ what: "chap" })}
							/>
							<Luns target={data.target} may={may} onDo={setDoing} />
						</div>
						<Initiators target={data.target} may={may} onDo={setDoing} />
						<Panel title="Sessions">
							{data.sessions.length === 0 ? (
								<p class="dim pad">No initiator is logged in. The commands below connect one.</p>
							) : (
								<SessionTable sessions={data.sessions} may={may} onDone={done} short />
							)}
						</Panel>
						<Commands data={data} />
						<Panel title="Charts">
							<ObjectCharts
								object={`target:${name}`}
								charts={["throughput", "iops", "latency", "sessions"]}
							/>
						</Panel>
						<Panel title="Events">
							<EventList
								events={events.filter((event) => isAbout(event, `target:${name}`)).slice(0, 20)}
								none="Nothing has happened to it since the daemon started."
							/>
						</Panel>
						<Dialogs doing={doing} data={data} onClose={() => setDoing(null)} onDone={done} />
					</>
				)}
			</Await>
		</>
	);
}
