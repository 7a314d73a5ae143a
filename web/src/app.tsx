/* The frame of the dashboard: navigation, the page that the URL names, messages. */
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { login } from "./api/client";
import { LoginPage } from "./pages/login";
import { PAGES, type Page } from "./pages";
import { type Params, match, usePlace } from "./router";
import { logOut, mayBe, start, unknown, whoAmI } from "./session";
import { useStore } from "./store";
import "./styles/app.css";
import { THEMES, type Theme, setTheme, theme } from "./theme";
import { Announcer, announce, toast } from "./ui/announce";
import { Head } from "./ui/page";
import { Loading, ProblemNote } from "./ui/states";

function find(path: string): { page: Page; params: Params } | null {
	for (const page of PAGES) {
		const params = match(page.path, path);
		if (params) return { page, params };
	}
	return null;
}

function NotFound({ path }: { path: string }) {
	return (
		<>
			<Head title="There is no such page" />
			<p>
				Nothing is at <code>{path}</code>. <a href="#/">Go to the overview</a>.
			</p>
		</>
	);
}

function NoRight({ page, role }: { page: Page; role: string }) {
	return (
		<>
			<Head title={page.title} />
			<p class="note info" data-testid="no-right">
				This page needs the role {page.role}; your token has the role {role}. An administrator can make a token
				for you: <code>lunette token create NAME --role {page.role}</code>
			</p>
		</>
	);
}

const THEME_NAMES: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

function ThemeChoice() {
	return (
		<label class="theme-choice">
			<span>Theme</span>
			<select
				value={useStore(theme)}
				onChange={(event) => setTheme(event.currentTarget.value as Theme)}
				data-testid="theme"
			>
				{THEMES.map((name) => (
					<option key={name} value={name}>
						{THEME_NAMES[name]}
					</option>
				))}
			</select>
		</label>
	);
}

function Navigation({ path }: { path: string }) {
	const who = useStore(login)!;
	const leave = () =>
		void logOut().then(
			() => announce("Logged out"),
			(error: Error) => toast(error.message, true),
		);
	const section = "/" + path.split("/")[1];
	return (
		<header class="side">
			<a class="brand" href="#/" aria-label="Lunette, overview">
				<img src="/assets/favicon.svg" alt="" width="26" height="26" />
				Lunette
			</a>
			<nav aria-label="Main">
				{PAGES.filter((page) => page.nav && mayBe(who, page.role)).map((page) => (
					<a key={page.path} href={`#${page.path}`} aria-current={page.path === section ? "page" : undefined}>
						{page.nav}
					</a>
				))}
			</nav>
			<div class="who">
				<ThemeChoice />
				<p data-testid="who">
					<b>{who.actor}</b>
					<span class="dim">{who.role}</span>
				</p>
				<button type="button" onClick={leave} data-testid="logout">
					Log out
				</button>
			</div>
		</header>
	);
}

/* A page that is gone to begins at its heading, for the eye and for a screen reader. */
function useArrival(path: string, title: string): void {
	const first = useRef(true);
	useEffect(() => {
		document.title = `${title} · Lunette`;
		if (first.current) {
			first.current = false;
			return;
		}
		void whoAmI();
		window.scrollTo(0, 0);
		const heading = document.querySelector<HTMLElement>("main h1");
		heading?.setAttribute("tabindex", "-1");
		heading?.focus({ preventScroll: true });
		announce(title);
	}, [path]);
}

function Shell({ role }: { role: string }) {
	const { path } = usePlace();
	const found = find(path);
	const Component = found?.page.component;
	const names = found ? Object.values(found.params) : [];
	useArrival(path, names[0] ?? found?.page.title ?? "No such page");
	return (
		<div class="shell">
			<a
				class="skip"
				href="#main"
				onClick={(event) => {
					event.preventDefault();
					document.getElementById("main")?.focus();
				}}
			>
				Skip to the content
			</a>
			<Navigation path={path} />
			<main id="main" tabIndex={-1}>
				{!found ? (
					<NotFound path={path} />
				) : !mayBe(login.get(), found.page.role) ? (
					<NoRight page={found.page} role={role} />
				) : (
					Component && <Component key={path} params={found.params} />
				)}
			</main>
		</div>
	);
}

function App() {
	const who = useStore(login);
	const problem = useStore(unknown);
	return (
		<>
			{problem ? (
				<main>
					<h1>Lunette</h1>
					<ProblemNote problem={problem} onRetry={() => void whoAmI()} />
				</main>
			) : who === undefined ? (
				<main>
					<Loading what="the dashboard" />
				</main>
			) : who === null ? (
				<LoginPage />
			) : (
				<Shell role={who.role} />
			)}
			<Announcer />
		</>
	);
}

start();
const root = document.getElementById("app")!;
root.replaceChildren();
render(<App />, root);
