/* What can be done with a target: create, edit, its initiators, remove. */
import { useState } from "preact/hooks";
import { ProblemError, type Schema, client, settle } from "../api/client";
import { type Target, allLuns, allTargets } from "../api/lists";
import { useAction, useLoaded, useRead } from "../api/use";
import { iqnPrefix, iqnValid, makeSecret } from "../chap";
import { remember } from "../secrets";
import { go, href } from "../router";
import { toast } from "../ui/announce";
import { AreaField, Check, Copy, Field, Segments, SelectField, TextField } from "../ui/controls";
import { Confirm, FormDialog } from "../ui/dialog";
import { Note } from "../ui/states";

const words = (text: string) => text.split(/[\s,;]+/).filter(Boolean);

interface Chap {
	user: string;
	secret: string;
}

function ChapFields({
	legend,
	hint,
	value,
	onValue,
	errors,
}: {
	legend: string;
	hint: string;
	value: Chap;
	onValue(value: Chap): void;
	errors: { user?: string | undefined; secret?: string | undefined };
}) {
	return (
		<fieldset>
			<legend>{legend}</legend>
			<p class="hint">{hint}</p>
			<TextField
				label={`${legend}: user`}
				value={value.user}
				onValue={(user) => onValue({ ...value, user })}
				mono
				error={errors.user}
			/>
			<TextField
				label={`${legend}: secret`}
				value={value.secret}
				onValue={(secret) => onValue({ ...value, secret })}
				mono
				error={errors.secret}
				hint="12 to 255 characters; 12 to 16 for Windows. It is never shown again: copy it now."
				after={
					<>
						<button type="button" onClick={() => onValue({ ...value, secret: makeSecret() })}>
							Generate
						</button>
						<Copy text={value.secret} what={`the secret of ${legend}`} />
					</>
				}
			/>
		</fieldset>
	);
}

type Access = "loopback" | "list" | "open";
interface Draft {
	name: string;
	alias: string;
	chap: Chap | null;
	mutual: Chap | null;
	access: Access;
	initiators: string;
	addresses: string;
	luns: string[];
}

function bodyOf(draft: Draft) {
	const luns = Object.fromEntries(draft.luns.map((lun, i) => [String(i), { lun }]));
	const initiators =
		draft.access === "list" ? Object.fromEntries(words(draft.initiators).map((name) => [name, {}])) : {};
	return {
		...(draft.alias ? { alias: draft.alias } : {}),
		open: draft.access === "open",
		addresses: words(draft.addresses),
		luns,
		initiators,
		...(draft.chap ? { auth: { chap: draft.chap, ...(draft.mutual ? { mutual: draft.mutual } : {}) } } : {}),
	};
}

function AccessFields({
	draft,
	set,
	at,
}: {
	draft: Draft;
	set(part: Partial<Draft>): void;
	at(pointer: string): string | undefined;
}) {
	return (
		<fieldset>
			<legend>Who may log in</legend>
			<Segments
				label="Who may log in"
				value={draft.access}
				onValue={(access) => set({ access: access as Access })}
				options={[
					{ value: "list", text: "These initiators" },
					{ value: "open", text: "Anyone" },
					{ value: "loopback", text: "This machine only" },
				]}
			/>
			{draft.access === "list" && (
				<AreaField
					label="Initiators"
					value={draft.initiators}
					onValue={(initiators) => set({ initiators })}
					placeholder={"iqn.1994-05.com.example:host1\niqn.1998-01.com.vmware:esx1"}
					error={at("/initiators")}
					hint="Their names (IQN), one a line. The commands on the target’s page say how to find a machine’s name."
				/>
			)}
			{draft.access === "open" && (
				<Note kind="warning">
					Whoever reaches the portal may use the LUNs
					{draft.chap ? ", with the CHAP secret." : ". Without CHAP that is everybody."}
				</Note>
			)}
			<AreaField
				label="Only from these addresses"
				optional
				rows={2}
				value={draft.addresses}
				onValue={(addresses) => set({ addresses })}
				placeholder="10.0.0.0/24"
				error={at("/addresses")}
				hint="Addresses or ranges, one a line; empty: from anywhere."
			/>
		</fieldset>
	);
}

function LunChoice({ chosen, onChosen }: { chosen: string[]; onChosen(chosen: string[]): void }) {
	const luns = useLoaded(allLuns, []);
	const rest = (luns.data ?? []).filter((lun) => !chosen.includes(lun.name));
	return (
		<Field
			label="LUNs to show"
			optional
			hint="In this order they get the numbers 0, 1, 2 …; more can be assigned later."
		>
			{(attributes) => (
				<>
					{chosen.length > 0 && (
						<ul class="chips">
							{chosen.map((name, i) => (
								<li key={name}>
									<span class="dim">LUN {i}</span> {name}
									<button
										type="button"
										class="quiet"
										aria-label={`Do not show ${name}`}
										onClick={() => onChosen(chosen.filter((one) => one !== name))}
									>
										✕
									</button>
								</li>
							))}
						</ul>
					)}
					<select
						{...attributes}
						value=""
						onChange={(event) => {
							if (event.currentTarget.value) onChosen([...chosen, event.currentTarget.value]);
						}}
					>
						<option value="">
							{luns.data ? (rest.length ? "Add a LUN …" : "There is no other LUN") : "Loading …"}
						</option>
						{rest.map((lun) => (
							<option key={lun.name} value={lun.name}>
								{lun.name}
							</option>
						))}
					</select>
				</>
			)}
		</Field>
	);
}

/* The pointer itself or anything below it. */
const below = (error: ProblemError | undefined, pointer: string) =>
	error?.problem.errors?.find((one) => one.pointer === pointer || one.pointer.startsWith(pointer + "/"))?.detail;

export function CreateTarget({ onClose, onDone }: { onClose(): void; onDone(): void }) {
	const targets = useLoaded(allTargets, []);
	const prefix = iqnPrefix((targets.data ?? []).map((target) => target.name));
	const [draft, setDraft] = useState<Draft>({
		name: "",
		alias: "",
		chap: null,
		mutual: null,
		access: "list",
		initiators: "",
		addresses: "",
		luns: [],
	});
	const [tried, setTried] = useState(false);
	const action = useAction();
	const set = (part: Partial<Draft>) => {
		setDraft({ ...draft, ...part });
		action.clear();
	};
	const name =
		draft.name.includes(".") && /^(iqn|eui|naa)\./.test(draft.name)
			? draft.name
			: draft.name
				? prefix + draft.name
				: "";
	const at = (pointer: string) => below(action.problem, pointer);
	const taken = action.problem?.problem.status === 412;
	const nameWrong = taken
		? "A target of this name exists already."
		: !tried
			? undefined
			: !draft.name
				? "Give it a name."
				: iqnValid(name)
					? at("/name")
					: "Lower-case letters, digits, “-”, “.” and “:” only.";
	const listEmpty = tried && draft.access === "list" && words(draft.initiators).length === 0;

	const submit = () => {
		setTried(true);
		if (!iqnValid(name) || (draft.access === "list" && words(draft.initiators).length === 0)) return;
		void action
			.run(async () => {
				await settle(
					client.PUT("/api/v1/targets/{target}", {
						params: { path: { target: name }, header: { "If-None-Match": "*" } },
						body: bodyOf(draft),
					}),
				);
			})
			.then((ok) => {
				if (!ok) return;
				remember(name, draft.chap?.secret ?? "", draft.mutual?.secret ?? "");
				toast(`Target ${name} is there`);
				onDone();
				onClose();
				go(href("targets", name));
			});
	};
	const user = draft.name.split(":").pop() || "initiator";
	return (
		<FormDialog
			title="Create a target"
			submit="Create"
			wide
			action={action}
			onClose={onClose}
			onSubmit={submit}
			testid="create-target"
		>
			<TextField
				label="Name"
				value={draft.name}
				onValue={(text) => set({ name: text.trim().toLowerCase() })}
				mono
				autofocus
				error={nameWrong}
				placeholder="database"
				hint={
					<>
						Its full name (IQN) will be <code data-testid="iqn">{name || prefix + "…"}</code>
					</>
				}
			/>
			<TextField
				label="Alias"
				optional
				value={draft.alias}
				onValue={(alias) => set({ alias })}
				error={at("/alias")}
				hint="What initiators show beside the name."
			/>
			<LunChoice chosen={draft.luns} onChosen={(luns) => set({ luns })} />
			<AccessFields
				draft={draft}
				set={set}
				at={(pointer) =>
					at(pointer) ??
					(pointer === "/initiators" && listEmpty ? "Name at least one, or choose another rule." : undefined)
				}
			/>
			<Check
				label="Initiators prove who they are (CHAP)"
				value={!!draft.chap}
				onValue={(on) => set({ chap: on ? { user, secret: makeSecret() } : null, mutual: null })}
			/>
			{draft.chap && (
				<ChapFields
					legend="CHAP"
					hint="What initiators must prove."
					value={draft.chap}
					onValue={(chap) => set({ chap })}
					errors={{ user: at("/auth/chap/user"), secret: at("/auth/chap/secret") }}
				/>
			)}
			{draft.chap && (
				<Check
					label="The target proves itself too (mutual CHAP)"
					value={!!draft.mutual}
					onValue={(on) => set({ mutual: on ? { user: "lunette", secret: makeSecret() } : null })}
				/>
			)}
			{draft.mutual && (
				<ChapFields
					legend="Mutual CHAP"
					hint="What the target proves to initiators; another secret than above."
					value={draft.mutual}
					onValue={(mutual) => set({ mutual })}
					errors={{ user: at("/auth/mutual/user"), secret: at("/auth/mutual/secret") }}
				/>
			)}
		</FormDialog>
	);
}

/* Changes the target as it was read. */
const patch = (read: ReturnType<typeof useRead>, target: Target, body: Schema["TargetPatch"]) =>
	read.change((tag) =>
		settle(
			client.PATCH("/api/v1/targets/{target}", {
				params: { path: { target: target.name }, header: { "If-Match": tag } },
				body,
			}),
		),
	);

export function EditTarget({ target, onClose, onDone }: { target: Target; onClose(): void; onDone(): void }) {
	const [alias, setAlias] = useState(target.alias ?? "");
	const [description, setDescription] = useState(target.description ?? "");
	const [enabled, setEnabled] = useState(target.enabled !== false);
	const [open, setOpen] = useState(!!target.open);
	const [addresses, setAddresses] = useState((target.addresses ?? []).join("\n"));
	const action = useAction();
	const read = useRead(target, onDone);
	const at = (pointer: string) => below(action.problem, pointer);
	const [first] = useState(target);
	/* Only what was changed here: what another has changed meanwhile stays. */
	const changed = () => ({
		...(alias !== (first.alias ?? "") ? { alias } : {}),
		...(description !== (first.description ?? "") ? { description } : {}),
		...(enabled !== (first.enabled !== false) ? { enabled } : {}),
		...(open !== !!first.open ? { open } : {}),
		...(addresses !== (first.addresses ?? []).join("\n") ? { addresses: words(addresses) } : {}),
	});
	return (
		<FormDialog
			title="Edit the target"
			submit="Save"
			action={action}
			onClose={onClose}
			testid="edit-target"
			onSubmit={() =>
				void action
					.run(() => patch(read, target, changed()))
					.then((ok) => {
						if (!ok) return;
						toast(`Target ${target.name} is changed`);
						onDone();
						onClose();
					})
			}
		>
			<TextField label="Alias" optional value={alias} onValue={setAlias} autofocus error={at("/alias")} />
			<TextField
				label="Description"
				optional
				value={description}
				onValue={setDescription}
				error={at("/description")}
			/>
			<Check
				label="Enabled"
				hint="Without it, logins are refused; sessions that are there stay."
				value={enabled}
				onValue={setEnabled}
			/>
			<Check
				label="Open to anyone"
				hint="Any initiator may log in, by any portal. Without it only those of the access list; with an empty one, only this machine."
				value={open}
				onValue={setOpen}
			/>
			<AreaField
				label="Only from these addresses"
				optional
				rows={2}
				value={addresses}
				onValue={setAddresses}
				error={at("/addresses")}
				hint="Addresses or ranges, one a line; empty: from anywhere."
			/>
		</FormDialog>
	);
}

export function EditChap({ target, onClose, onDone }: { target: Target; onClose(): void; onDone(): void }) {
	const now = target.auth ?? {};
	const [kind, setKind] = useState(now.mutual ? "mutual" : now.chap ? "chap" : "none");
	const [chap, setChap] = useState<Chap>({
		user: now.chap?.user ?? target.name.split(":").pop()!,
		secret: now.chap ? "" : makeSecret(),
	});
	const [mutual, setMutual] = useState<Chap>({
		user: now.mutual?.user ?? "lunette",
		secret: now.mutual ? "" : makeSecret(),
	});
	const action = useAction();
	const read = useRead(target, onDone);
	const at = (pointer: string) => below(action.problem, pointer);
	const credential = (one: Chap) => ({ user: one.user, ...(one.secret ? { secret: one.secret } : {}) });
	/* null takes a member away (merge patch) */
	const auth = {
		chap: kind === "none" ? null : credential(chap),
		mutual: kind === "mutual" ? credential(mutual) : null,
	};
	return (
		<FormDialog
			title="CHAP of the target"
			submit="Save"
			action={action}
			onClose={onClose}
			testid="edit-chap"
			onSubmit={() =>
				void action
					.run(() => patch(read, target, { auth }))
					.then((ok) => {
						if (!ok) return;
						remember(
							target.name,
							kind === "none" ? "" : chap.secret,
							kind === "mutual" ? mutual.secret : "",
						);
						toast(`CHAP of ${target.name} is changed; initiators use it from their next login on`);
						onDone();
						onClose();
					})
			}
		>
			<SelectField
				label="Proof"
				value={kind}
				onValue={setKind}
				options={[
					["none", "None"],
					["chap", "Initiators prove themselves (CHAP)"],
					["mutual", "Both sides (mutual CHAP)"],
				]}
			/>
			{kind !== "none" && (
				<ChapFields
					legend="CHAP"
					value={chap}
					onValue={setChap}
					hint={now.chap ? "Leave the secret empty to keep it." : "What initiators must prove."}
					errors={{ user: at("/auth/chap/user"), secret: at("/auth/chap/secret") }}
				/>
			)}
			{kind === "mutual" && (
				<ChapFields
					legend="Mutual CHAP"
					value={mutual}
					onValue={setMutual}
					hint={
						now.mutual
							? "Leave the secret empty to keep it."
							: "What the target proves; another secret than above."
					}
					errors={{ user: at("/auth/mutual/user"), secret: at("/auth/mutual/secret") }}
				/>
			)}
		</FormDialog>
	);
}

export function AddInitiator({ target, onClose, onDone }: { target: Target; onClose(): void; onDone(): void }) {
	const [name, setName] = useState("");
	const [readOnly, setReadOnly] = useState(false);
	const [luns, setLuns] = useState("");
	const action = useAction();
	const numbers = words(luns).map(Number);
	const bad = numbers.some((number) => !Number.isInteger(number) || number < 0);
	return (
		<FormDialog
			title="Add an initiator"
			submit="Add"
			action={action}
			onClose={onClose}
			testid="add-initiator"
			off={name ? (bad ? "LUN numbers are wrong." : "") : "Give its name first."}
			onSubmit={() =>
				void action
					.run(async () => {
						await settle(
							client.PUT("/api/v1/targets/{target}/initiators/{initiator}", {
								params: {
									path: { target: target.name, initiator: name },
									header: { "If-None-Match": "*" },
								},
								body: { read_only: readOnly, ...(numbers.length ? { luns: numbers } : {}) },
							}),
						);
					})
					.then((ok) => {
						if (!ok) return;
						toast(`${name} may log in now`);
						onDone();
						onClose();
					})
			}
		>
			<TextField
				label="Name of the initiator"
				value={name}
				onValue={(text) => setName(text.trim())}
				mono
				autofocus
				placeholder="iqn.1994-05.com.example:host1"
				error={action.problem?.problem.status === 412 ? "It is in the list already." : undefined}
			/>
			<TextField
				label="LUN numbers that it sees"
				optional
				value={luns}
				onValue={setLuns}
				placeholder="0, 1"
				hint="Empty: all."
				error={bad ? "Numbers with commas, such as 0, 1." : undefined}
			/>
			<Check label="Read only" value={readOnly} onValue={setReadOnly} />
		</FormDialog>
	);
}

export function RemoveInitiator({
	target,
	name,
	onClose,
	onDone,
}: {
	target: Target;
	name: string;
	onClose(): void;
	onDone(): void;
}) {
	const last = Object.keys(target.initiators ?? {}).length === 1 && Object.keys(target.groups ?? {}).length === 0;
	return (
		<Confirm
			title="Remove an initiator"
			submit="Remove"
			onClose={onClose}
			testid="remove-initiator"
			work={async () => {
				await settle(
					client.DELETE("/api/v1/targets/{target}/initiators/{initiator}", {
						params: { path: { target: target.name, initiator: name }, header: { "If-Match": "*" } },
					}),
				);
				toast(`${name} may no longer log in`);
				onDone();
			}}
		>
			<p>
				<code>{name}</code> may no longer log in to this target; a session of it ends.
			</p>
			{last && (
				<Note kind="warning">
					It is the last one: without a list, any initiator of this machine may log in, by a loopback portal
					only.
				</Note>
			)}
		</Confirm>
	);
}

export function RemoveTarget({
	target,
	sessions,
	onClose,
	onDone,
}: {
	target: Target;
	sessions: number;
	onClose(): void;
	onDone(): void;
}) {
	return (
		<Confirm
			title="Remove the target"
			submit="Remove"
			name={target.name}
			onClose={onClose}
			testid="remove-target"
			work={async () => {
				await settle(
					client.DELETE("/api/v1/targets/{target}", {
						params: {
							path: { target: target.name },
							query: { force: true },
							header: { "If-Match": `"${target.revision}"` },
						},
					}),
				);
				toast(`Target ${target.name} is gone`);
				onDone();
			}}
		>
			<p>Initiators can no longer log in to it. Its LUNs and their data stay.</p>
			{sessions > 0 && (
				<Note kind="bad">
					{sessions === 1 ? "One session is" : `${sessions} sessions are`} logged in and will be ended.
				</Note>
			)}
		</Confirm>
	);
}
