/* Every page, once: where it is, what it is called, who may see it, and its place in the navigation. */
import type { ComponentType } from "preact";
import { ChartsPage, WorkersPage } from "./charts";
import type { Params } from "./router";
import type { Role } from "./session";
import { OverviewPage } from "./pages/overview";

export interface Page {
	path: string;
	title: string;
	component: ComponentType<{ params: Params }>;
	role: Role;
	nav?: string; /* in the navigation, under this name; absent: reached from another page */
}

const plain = (component: () => preact.JSX.Element) => component as ComponentType<{ params: Params }>;

export const PAGES: Page[] = [
	{ path: "/", title: "Overview", component: plain(OverviewPage), role: "viewer", nav: "Overview" },
	{ path: "/workers", title: "Workers and host", component: plain(WorkersPage), role: "viewer", nav: "Workers" },
	{ path: "/charts", title: "Charts", component: plain(ChartsPage), role: "viewer", nav: "Charts" },
];
