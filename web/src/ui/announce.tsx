/* What happened, for the eye (a toast) and for the ear (a live region that is always there). */
import { Store, useStore } from "../store";

interface Toast {
	id: number;
	text: string;
	bad: boolean;
}

const SHOWN_MS = 6000;
const toasts = new Store<Toast[]>([]);
const spoken = new Store("");
let last = 0;

export function announce(text: string): void {
	spoken.set(spoken.get() === text ? text + "\u00a0" : text); /* the same again is spoken again */
}

const drop = (id: number) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

export function toast(text: string, bad = false): void {
	const id = ++last;
	toasts.set([...toasts.get(), { id, text, bad }]);
	announce(text);
	if (!bad) window.setTimeout(() => drop(id), SHOWN_MS);
}

export function Announcer() {
	return (
		<section aria-label="Messages">
			<div class="hidden" aria-live="polite" role="status" data-testid="announcer">
				{useStore(spoken)}
			</div>
			<ul class="toasts">
				{useStore(toasts).map((toast) => (
					<li key={toast.id} class={toast.bad ? "toast bad" : "toast"} data-testid="toast">
						<span>{toast.text}</span>
						<button
							type="button"
							class="quiet"
							aria-label="Dismiss this message"
							onClick={() => drop(toast.id)}
						>
							✕
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}
