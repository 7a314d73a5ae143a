/* Dialogs: the browser's own, so that focus stays in it, Escape leaves it, and focus goes back to where it was. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Action, useAction } from "../api/use";
import { Button, TextField } from "./controls";
import { ProblemNote } from "./states";

interface DialogProps {
	title: string;
	onClose(): void;
	children: ComponentChildren;
	wide?: boolean;
	testid?: string;
}

export function Dialog({ title, onClose, children, wide, testid }: DialogProps) {
	const ref = useRef<HTMLDialogElement>(null);
	const id = useId();
	useLayoutEffect(() => {
		const dialog = ref.current!;
		const before = document.activeElement;
		dialog.showModal();
		return () => {
			dialog.close();
			if (before instanceof HTMLElement && before.isConnected) before.focus();
		};
	}, []);
	return (
		<dialog
			ref={ref}
			class={wide ? "wide" : undefined}
			aria-labelledby={id}
			data-testid={testid}
			onCancel={(event) => {
				event.preventDefault();
				onClose();
			}}
		>
			<header>
				<h2 id={id}>{title}</h2>
				<button type="button" class="quiet" aria-label="Close" onClick={onClose}>
					✕
				</button>
			</header>
			{children}
		</dialog>
	);
}

interface FormDialogProps extends DialogProps {
	action: Action;
	submit: string;
	danger?: boolean;
	off?: string;
	onSubmit(): void;
	shown?: string[]; /* pointers that fields show themselves */
}

/* A dialog with a form: what is wrong stands above the buttons. */
export function FormDialog({ action, submit, danger, off, onSubmit, children, ...dialog }: FormDialogProps) {
	const form = useRef<HTMLFormElement>(null);
	useEffect(() => {
		if (action.problem)
			/* to the first field that is wrong */
			form.current!.querySelector<HTMLElement>("[aria-invalid]")?.focus();
	}, [action.problem]);
	return (
		<Dialog {...dialog}>
			<form
				ref={form}
				noValidate
				onSubmit={(event) => {
					event.preventDefault();
					if (!off && !action.busy) onSubmit();
				}}
			>
				{children}
				{action.problem && <ProblemNote problem={action.problem.problem} />}
				<footer>
					<Button onClick={dialog.onClose}>Cancel</Button>
					<Button
						submit
						kind={danger ? "danger" : "primary"}
						busy={action.busy}
						off={off ?? ""}
						testid="submit"
					>
						{action.busy ? "Working …" : submit}
					</Button>
				</footer>
			</form>
		</Dialog>
	);
}

interface ConfirmProps {
	title: string;
	submit: string;
	name?: string;
	children: ComponentChildren;
	onClose(): void;
	work(): Promise<void>;
	testid?: string;
}

/* Asks before something that cannot be undone; `name` must be typed. */
export function Confirm({ title, submit, name, children, onClose, work, testid }: ConfirmProps) {
	const action = useAction();
	const [typed, setTyped] = useState("");
	const off = name && typed !== name ? `Type ${name} first.` : "";
	return (
		<FormDialog
			title={title}
			submit={submit}
			danger
			action={action}
			off={off}
			onClose={onClose}
			testid={testid ?? "confirm"}
			onSubmit={() =>
				void action.run(work).then((ok) => {
					if (ok) onClose();
				})
			}
		>
			{children}
			{name && (
				<TextField
					label={`Type the name to confirm: ${name}`}
					value={typed}
					onValue={setTyped}
					mono
					autofocus
				/>
			)}
		</FormDialog>
	);
}
