/* What a part of a page shows instead of its content. */
import type { ComponentChildren } from "preact";
import type { Problem } from "../api/client";
import type { Loaded } from "../api/use";

export function Loading({ what }: { what: string }) {
	return (
		<p class="state loading" role="status" data-testid="loading">
			<span class="spinner" aria-hidden="true" /> Loading {what} …
		</p>
	);
}

export function Empty({
	title,
	children,
	action,
}: {
	title: string;
	children?: ComponentChildren;
	action?: ComponentChildren;
}) {
	return (
		<div class="state empty" data-testid="empty">
			<h2>{title}</h2>
			<div>{children}</div>
			{action && <p class="actions">{action}</p>}
		</div>
	);
}

/* A problem exactly as the service tells it. */
export function ProblemNote({ problem, onRetry }: { problem: Problem; onRetry?: () => void }) {
	return (
		<div class="note bad" role="alert" data-testid="problem">
			<p>
				<strong>{problem.title}</strong>
				{problem.code && (
					<>
						{" "}
						<code>{problem.code}</code>
					</>
				)}
			</p>
			<p>{problem.detail}</p>
			{!!problem.errors?.length && (
				<ul>
					{problem.errors.map((error) => (
						<li key={error.pointer}>
							<code>{error.pointer || "(the whole body)"}</code>: {error.detail}
						</li>
					))}
				</ul>
			)}
			{problem.request_id && <p class="dim">Request {problem.request_id}, to be found in the daemon’s log.</p>}
			{onRetry && (
				<p>
					<button type="button" onClick={onRetry}>
						Try again
					</button>
				</p>
			)}
		</div>
	);
}

export function Note({ kind = "info", children }: { kind?: "info" | "warning" | "bad"; children: ComponentChildren }) {
	return <div class={`note ${kind}`}>{children}</div>;
}

/* The data when there is some, with the problem of the last attempt above it. */
export function Await<T>({
	of,
	what,
	children,
}: {
	of: Loaded<T>;
	what: string;
	children: (data: T) => ComponentChildren;
}) {
	return (
		<>
			{of.problem && <ProblemNote problem={of.problem} onRetry={() => void of.reload()} />}
			{of.data !== undefined ? children(of.data) : !of.problem && <Loading what={what} />}
		</>
	);
}
