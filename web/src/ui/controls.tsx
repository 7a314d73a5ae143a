/* Buttons, fields, copying, badges, meters. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { May } from "../session";
import { announce } from "./announce";

interface ButtonProps {
	children: ComponentChildren;
	onClick?: () => void;
	kind?: "primary" | "danger" | "quiet";
	submit?: boolean;
	busy?: boolean;
	may?: May; /* absent: anyone may */
	off?: string; /* why it cannot be done now; "": it can */
	label?: string;
	testid?: string;
}

/* A button that is not available stays reachable and says why. */
export function Button({ children, onClick, kind, submit, busy, may, off, label, testid }: ButtonProps) {
	const why = may && !may.ok ? may.why : (off ?? "");
	const id = useId();
	const click = (event: Event) => {
		if (why || busy) {
			event.preventDefault();
			announce(why || "Still working");
			return;
		}
		onClick?.();
	};
	return (
		<>
			<button
				type={submit ? "submit" : "button"}
				class={kind}
				onClick={click}
				aria-disabled={why || busy ? true : undefined}
				aria-busy={busy || undefined}
				aria-label={label}
				title={why || undefined}
				aria-describedby={why ? id : undefined}
				data-testid={testid}
			>
				{children}
			</button>
			{why && (
				<span id={id} class="hidden">
					{why}
				</span>
			)}
		</>
	);
}

interface FieldProps {
	label: string;
	hint?: ComponentChildren;
	error?: string | undefined;
	optional?: boolean;
	wide?: boolean;
	children: (attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: true }) => ComponentChildren;
}

/* A label, its input, a hint and what is wrong with it. */
export function Field({ label, hint, error, optional, wide, children }: FieldProps) {
	const id = useId();
	const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
	return (
		<div class={`field${error ? " wrong" : ""}${wide ? " wide" : ""}`}>
			<label for={id}>
				{label}
				{optional && <span class="dim"> (optional)</span>}
			</label>
			{children({
				id,
				...(described ? { "aria-describedby": described } : {}),
				...(error ? { "aria-invalid": true as const } : {}),
			})}
			{hint && (
				<div class="hint" id={`${id}-hint`}>
					{hint}
				</div>
			)}
			{error && (
				<div class="error" id={`${id}-error`} data-testid="field-error">
					{error}
				</div>
			)}
		</div>
	);
}

type TextFieldProps = Omit<FieldProps, "children"> & {
	value: string;
	onValue(value: string): void;
	type?: "text" | "password" | "search";
	placeholder?: string;
	required?: boolean;
	list?: string;
	mono?: boolean;
	autofocus?: boolean;
	autocomplete?: string;
	after?: ComponentChildren;
	inputMode?: "numeric" | "text";
};

export function TextField({
	value,
	onValue,
	type = "text",
	placeholder,
	required,
	list,
	mono,
	autofocus,
	autocomplete = "off",
	after,
	inputMode,
	...field
}: TextFieldProps) {
	return (
		<Field {...field}>
			{(attributes) => (
				<div class="with">
					<input
						{...attributes}
						type={type as "text"}
						value={value}
						placeholder={placeholder}
						required={required}
						{...(list ? { list } : {})}
						class={mono ? "mono" : undefined}
						autofocus={autofocus}
						autocomplete={autocomplete}
						spellcheck={false}
						inputMode={inputMode}
						onInput={(event) => onValue(event.currentTarget.value)}
					/>
					{after}
				</div>
			)}
		</Field>
	);
}

type AreaProps = Omit<FieldProps, "children"> & {
	value: string;
	onValue(value: string): void;
	placeholder?: string;
	rows?: number;
};

export function AreaField({ value, onValue, placeholder, rows = 3, ...field }: AreaProps) {
	return (
		<Field {...field}>
			{(attributes) => (
				<textarea
					{...attributes}
					class="mono"
					rows={rows}
					value={value}
					placeholder={placeholder}
					spellcheck={false}
					onInput={(event) => onValue(event.currentTarget.value)}
				/>
			)}
		</Field>
	);
}

type SelectProps = Omit<FieldProps, "children"> & {
	value: string;
	onValue(value: string): void;
	options: [string, string][];
};

export function SelectField({ value, onValue, options, ...field }: SelectProps) {
	return (
		<Field {...field}>
			{(attributes) => (
				<select {...attributes} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
					{options.map(([key, text]) => (
						<option key={key} value={key}>
							{text}
						</option>
					))}
				</select>
			)}
		</Field>
	);
}

export function Check({
	label,
	hint,
	value,
	onValue,
}: {
	label: string;
	hint?: string;
	value: boolean;
	onValue(value: boolean): void;
}) {
	const id = useId();
	return (
		<div class="check">
			<input
				type="checkbox"
				id={id}
				checked={value}
				aria-describedby={hint ? `${id}-hint` : undefined}
				onChange={(event) => onValue(event.currentTarget.checked)}
			/>
			<label for={id}>{label}</label>
			{hint && (
				<div class="hint" id={`${id}-hint`}>
					{hint}
				</div>
			)}
		</div>
	);
}

async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		/* not over plain HTTP from elsewhere: the old way */
		const area = document.createElement("textarea");
		area.value = text;
		area.className = "hidden";
		(document.querySelector("dialog[open]") ?? document.body).append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		return done;
	}
}

export function Copy({ text, what }: { text: string; what: string }) {
	const [done, setDone] = useState(false);
	const copy = async () => {
		const ok = await copyText(text);
		announce(ok ? `Copied: ${what}` : "The browser did not allow copying; select the text instead.");
		setDone(ok);
		window.setTimeout(() => setDone(false), 2000);
	};
	return (
		<button type="button" class="small" aria-label={`Copy ${what}`} onClick={() => void copy()}>
			{done ? "Copied ✓" : "Copy"}
		</button>
	);
}

const SHAPES = { ok: "●", warning: "▲", error: "■", off: "○", info: "◆" };
export type Tone = keyof typeof SHAPES;

/* A state by word, shape and colour. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
	return (
		<span class={`badge ${tone}`}>
			<span aria-hidden="true">{SHAPES[tone]}</span> {children}
		</span>
	);
}

export function Meter({ part, label }: { part: number | null; label: string }) {
	const percent = part === null ? 0 : Math.min(Math.max(part, 0), 1) * 100;
	return (
		<span class="meter" role="img" aria-label={label}>
			<span style={{ width: `${percent.toFixed(1)}%` }} />
		</span>
	);
}

export interface Segment {
	value: string;
	text: string;
}

export function Segments({
	label,
	value,
	options,
	onValue,
}: {
	label: string;
	value: string;
	options: Segment[];
	onValue(value: string): void;
}) {
	return (
		<div class="segments" role="group" aria-label={label}>
			{options.map((option) => (
				<button
					key={option.value}
					type="button"
					aria-pressed={value === option.value}
					onClick={() => onValue(option.value)}
				>
					{option.text}
				</button>
			))}
		</div>
	);
}

/* Names that the browser offers while one types. */
export function DataList({ id, values }: { id: string; values: string[] }) {
	return (
		<datalist id={id}>
			{values.map((value) => (
				<option key={value} value={value} />
			))}
		</datalist>
	);
}
