/* The head of a page: where one is, what one may do here. */
import type { ComponentChildren } from "preact";
import type { May } from "../session";

interface HeadProps {
	title: string;
	trail?: [string, string];
	lead?: ComponentChildren;
	actions?: ComponentChildren;
	may?: May;
}

export function Head({ title, trail, lead, actions, may }: HeadProps) {
	return (
		<header class="head">
			{trail && (
				<nav aria-label="Where you are">
					<a href={trail[1]}>{trail[0]}</a> <span aria-hidden="true">/</span>
				</nav>
			)}
			<div class="head-line">
				<h1 tabIndex={-1}>{title}</h1>
				{actions && <div class="actions">{actions}</div>}
			</div>
			{lead && <div class="lead">{lead}</div>}
			{may && !may.ok && (
				<p class="note info" data-testid="no-right">
					You can look at everything here but change nothing. {may.why}
				</p>
			)}
		</header>
	);
}

export function Panel({
	title,
	children,
	actions,
	testid,
}: {
	title: string;
	children: ComponentChildren;
	actions?: ComponentChildren;
	testid?: string;
}) {
	return (
		<section class="panel" data-testid={testid} aria-label={title}>
			<header>
				<h2>{title}</h2>
				{actions && <div class="actions">{actions}</div>}
			</header>
			{children}
		</section>
	);
}

export function Facts({ children }: { children: ComponentChildren }) {
	return <dl class="fact-list">{children}</dl>;
}

export function FactRow({ name, children }: { name: string; children: ComponentChildren }) {
	return (
		<div>
			<dt>{name}</dt>
			<dd>{children}</dd>
		</div>
	);
}
