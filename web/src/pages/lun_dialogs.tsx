/* What can be done with a LUN: create, grow, assign, unassign, remove. */
import { useEffect, useState } from "preact/hooks";
import { ProblemError, ask, client, settle } from "../api/client";
import { type Lun, type Shown, type Target, allStores, allTargets, freeNumber } from "../api/lists";
import { useAction, useLoaded, useRead } from "../api/use";
import { UNITS, bytesText, sizeBytes, sizeParts, sizeProblem } from "../format";
import { go, href } from "../router";
import { toast } from "../ui/announce";
import { Check, SelectField, TextField } from "../ui/controls";
import { Confirm, FormDialog } from "../ui/dialog";
import { Note } from "../ui/states";

const path = (lun: string) => ({ path: { lun } });

function SizeField({
	label,
	hint,
	error,
	value,
	unit,
	onValue,
	onUnit,
	autofocus,
}: {
	label: string;
	hint?: string;
	error: string | undefined;
	value: string;
	unit: string;
	onValue(value: string): void;
	onUnit(unit: string): void;
	autofocus?: boolean;
}) {
	return (
		<TextField
			label={label}
			hint={hint}
			error={error}
			value={value}
			onValue={onValue}
			autofocus={autofocus}
			inputMode="numeric"
			after={
				<select aria-label="Unit" value={unit} onChange={(event) => onUnit(event.currentTarget.value)}>
					{UNITS.map(([name]) => (
						<option key={name} value={name}>
							{name}
						</option>
					))}
				</select>
			}
		/>
	);
}

interface Draft {
	name: string;
	number: string;
	unit: string;
	store: string;
	block: string;
	thin: boolean;
	description: string;
}

const EMPTY: Draft = {
	name: "",
	number: "10",
	unit: "GiB",
	store: "default",
	block: "512",
	thin: true,
	description: "",
};
const CHECK_MS = 500;

const bodyOf = (draft: Draft) => ({
	size_bytes: sizeBytes(draft.number, draft.unit) ?? 0,
	store: draft.store,
	block_size: Number(draft.block) as 512 | 4096,
	thin: draft.thin,
	...(draft.description ? { description: draft.description } : {}),
});

const put = (draft: Draft, dryRun: boolean) =>
	client.PUT("/api/v1/luns/{lun}", {
		params: { ...path(draft.name), query: { dry_run: dryRun }, header: { "If-None-Match": "*" } },
		body: bodyOf(draft),
	});

/* What the service would say, asked while one fills the form in. */
function useDryRun(draft: Draft, taken: boolean): ProblemError | undefined {
	const [problem, setProblem] = useState<ProblemError>();
	useEffect(() => {
		let gone = false;
		setProblem(undefined);
		if (!draft.name || taken || sizeBytes(draft.number, draft.unit) === null) return;
		const timer = window.setTimeout(
			() =>
				void ask(put(draft, true)).catch((error: Error) => {
					if (!gone && error instanceof ProblemError) setProblem(error);
				}),
			CHECK_MS,
		);
		return () => {
			gone = true;
			window.clearTimeout(timer);
		};
	}, [JSON.stringify(draft), taken]);
	return problem;
}

const TAKEN = "A LUN of this name exists already.";
const nameProblem = (error: ProblemError | undefined) =>
	error?.problem.status === 412
		? TAKEN
		: (error?.at("/name") ?? (error?.problem.code === "invalid-name" ? error.problem.detail : undefined));

export function CreateLun({ names, onClose, onDone }: { names: string[]; onClose(): void; onDone(): void }) {
	const [draft, setDraft] = useState(EMPTY);
	const [tried, setTried] = useState(false);
	const stores = useLoaded(allStores, []);
	const action = useAction();
	const taken = names.includes(draft.name);
	const dry = useDryRun(draft, taken);
	const set = (part: Partial<Draft>) => {
		setDraft({ ...draft, ...part });
		action.clear();
	};
	const bytes = sizeBytes(draft.number, draft.unit);
	const wrong = action.problem ?? dry;
	const at = (pointer: string) => wrong?.at(pointer);
	const shownElsewhere = ["/size_bytes", "/store", "/block_size", "/thin", "/name"];
	const rest =
		dry && !nameProblem(dry) && !dry.problem.errors?.some((error) => shownElsewhere.includes(error.pointer));

	const submit = () => {
		setTried(true);
		if (!draft.name || taken || bytes === null) return;
		void action
			.run(async () => {
				await settle(put(draft, false));
			})
			.then((ok) => {
				if (!ok) return;
				toast(`LUN ${draft.name} is there`);
				onDone();
				onClose();
				go(href("luns", draft.name));
			});
	};
	return (
		<FormDialog
			title="Create a LUN"
			submit="Create"
			action={action}
			onClose={onClose}
			onSubmit={submit}
			testid="create-lun"
		>
			<TextField
				label="Name"
				value={draft.name}
				onValue={(name) => set({ name: name.trim() })}
				autofocus
				mono
				error={tried && !draft.name ? "Give it a name." : taken ? TAKEN : nameProblem(wrong)}
				hint="Lower-case letters, digits, “-”, “_” and “.”; it cannot be changed later."
			/>
			<SizeField
				label="Size"
				value={draft.number}
				unit={draft.unit}
				onValue={(number) => set({ number })}
				onUnit={(unit) => set({ unit })}
				error={sizeProblem(draft.number, draft.unit) ?? at("/size_bytes")}
				hint="It can grow later, never shrink."
			/>
			<div class="pair">
				<SelectField
					label="Store"
					value={draft.store}
					onValue={(store) => set({ store })}
					error={at("/store")}
					options={(stores.data ?? [{ name: "default", kind: "file" }]).map((store) => [
						store.name!,
						`${store.name} (${store.kind})`,
					])}
				/>
				<SelectField
					label="Block size"
					value={draft.block}
					onValue={(block) => set({ block })}
					error={at("/block_size")}
					options={[
						["512", "512 bytes (usual)"],
						["4096", "4096 bytes"],
					]}
				/>
			</div>
			<Check
				label="Thin"
				value={draft.thin}
				onValue={(thin) => set({ thin })}
				hint="Space is taken when it is written. Without it the whole size is reserved now."
			/>
			<TextField
				label="Description"
				optional
				value={draft.description}
				onValue={(description) => set({ description })}
				error={at("/description")}
			/>
			{rest && !action.problem && (
				<Note kind="warning">
					<span data-testid="dry-run">{dry.problem.detail}</span>
				</Note>
			)}
		</FormDialog>
	);
}

export function GrowLun({ lun, onClose, onDone }: { lun: Lun; onClose(): void; onDone(): void }) {
	const [first, firstUnit] = sizeParts(lun.size_bytes);
	const [number, setNumber] = useState(first);
	const [unit, setUnit] = useState(firstUnit);
	const action = useAction();
	const read = useRead(lun, onDone);
	const bytes = sizeBytes(number, unit);
	const error =
		bytes === null
			? sizeProblem(number, unit)
			: bytes < lun.size_bytes
				? `It is ${bytesText(lun.size_bytes)} now and cannot shrink.`
				: action.problem?.at("/size_bytes");
	const off =
		bytes === lun.size_bytes
			? "Choose a size that is larger than now."
			: bytes === null || bytes < lun.size_bytes
				? error!
				: "";
	return (
		<FormDialog
			title={`Grow ${lun.name}`}
			submit="Grow"
			action={action}
			off={off}
			onClose={onClose}
			testid="grow-lun"
			onSubmit={() =>
				void action
					.run(() =>
						read.change((tag) =>
							settle(
								client.PATCH("/api/v1/luns/{lun}", {
									params: { ...path(lun.name), header: { "If-Match": tag } },
									body: { size_bytes: bytes! },
								}),
							),
						),
					)
					.then((ok) => {
						if (!ok) return;
						toast(`LUN ${lun.name} has ${bytesText(bytes)} now`);
						onDone();
						onClose();
					})
			}
		>
			<p>
				It has {bytesText(lun.size_bytes)} now. Initiators are told at once; they then grow partitions and file
				systems themselves.
			</p>
			<SizeField
				label="New size"
				value={number}
				unit={unit}
				onValue={setNumber}
				onUnit={setUnit}
				error={error}
				autofocus
			/>
		</FormDialog>
	);
}

export function AssignLun({
	lun,
	target,
	onClose,
	onDone,
}: {
	lun?: string;
	target?: string;
	onClose(): void;
	onDone(): void;
}) {
	const targets = useLoaded(allTargets, []);
	const [chosen, setChosen] = useState(target ?? "");
	const [name, setName] = useState(lun ?? "");
	const [number, setNumber] = useState<string>();
	const [readOnly, setReadOnly] = useState(false);
	const luns = useLoaded(
		async () =>
			lun ? [] : (await ask(client.GET("/api/v1/luns", { params: { query: { limit: 1000 } } }))).data.items,
		[lun],
	);
	const action = useAction();
	const list: Target[] = targets.data ?? [];
	const where = chosen || list[0]?.name || "";
	const what = name || luns.data?.[0]?.name || "";
	const shown = number ?? freeNumber(list.find((one) => one.name === where));
	const off =
		!targets.data || !luns.data
			? "Still loading."
			: !where
				? "There is no target yet: create one first."
				: !what
					? "There is no LUN yet: create one first."
					: "";

	const submit = () =>
		void action
			.run(async () => {
				await settle(
					client.PUT("/api/v1/targets/{target}/luns/{number}", {
						params: { path: { target: where, number: shown }, header: { "If-None-Match": "*" } },
						body: { lun: what, read_only: readOnly },
					}),
				);
			})
			.then((ok) => {
				if (!ok) return;
				toast(`${what} is LUN ${shown} of ${where}`);
				onDone();
				onClose();
			});
	return (
		<FormDialog
			title={lun ? `Assign ${lun} to a target` : "Assign a LUN"}
			submit="Assign"
			action={action}
			off={off}
			onClose={onClose}
			onSubmit={submit}
			testid="assign-lun"
		>
			{targets.data?.length === 0 && (
				<Note>
					There is no target yet. <a href="#/targets?create=1">Create one</a> first.
				</Note>
			)}
			{!lun && (
				<SelectField
					label="LUN"
					value={what}
					onValue={setName}
					options={(luns.data ?? []).map((one) => [one.name!, one.name!])}
				/>
			)}
			{!target && (
				<SelectField
					label="Target"
					value={where}
					onValue={(value) => {
						setChosen(value);
						setNumber(undefined);
					}}
					options={list.map((one) => [one.name, one.alias ? `${one.name} (${one.alias})` : one.name])}
				/>
			)}
			<TextField
				label="LUN number"
				value={shown}
				onValue={setNumber}
				inputMode="numeric"
				hint="What initiators see it as: 0 to 16383."
				error={action.problem?.problem.status === 412 ? "This number is in use at this target." : undefined}
			/>
			<Check
				label="Read only"
				hint="Writes through this target are refused."
				value={readOnly}
				onValue={setReadOnly}
			/>
		</FormDialog>
	);
}

export function UnassignLun({
	lun,
	shown,
	onClose,
	onDone,
}: {
	lun: string;
	shown: Shown;
	onClose(): void;
	onDone(): void;
}) {
	return (
		<Confirm
			title={`Unassign ${lun}`}
			submit="Unassign"
			onClose={onClose}
			testid="unassign-lun"
			work={async () => {
				await settle(
					client.DELETE("/api/v1/targets/{target}/luns/{number}", {
						params: { path: { target: shown.target, number: shown.number }, header: { "If-Match": "*" } },
					}),
				);
				toast(`${lun} is no longer shown by ${shown.target}`);
				onDone();
			}}
		>
			<p>
				<b>{lun}</b> will no longer be LUN {shown.number} of <code>{shown.target}</code>. Initiators that use it
				lose it at once; the data stays.
			</p>
		</Confirm>
	);
}

export function RemoveLun({
	lun,
	shown,
	onClose,
	onDone,
}: {
	lun: Lun;
	shown: Shown[];
	onClose(): void;
	onDone(): void;
}) {
	return (
		<Confirm
			title={`Remove ${lun.name}`}
			submit="Remove with its data"
			name={lun.name}
			onClose={onClose}
			testid="remove-lun"
			work={async () => {
				await settle(
					client.DELETE("/api/v1/luns/{lun}", {
						params: {
							...path(lun.name),
							header: { "If-Match": `"${lun.revision}"` },
							query: { force: shown.length > 0 },
						},
					}),
				);
				toast(`LUN ${lun.name} is gone`);
				onDone();
			}}
		>
			<Note kind="bad">All data of the LUN ({bytesText(lun.size_bytes)}) is removed. This cannot be undone.</Note>
			{shown.length > 0 && (
				<>
					<p>It is shown by:</p>
					<ul>
						{shown.map((one) => (
							<li key={one.target + one.number}>
								<code>{one.target}</code> as LUN {one.number}
							</li>
						))}
					</ul>
					<p>Initiators that use it there lose it at once.</p>
				</>
			)}
		</Confirm>
	);
}
