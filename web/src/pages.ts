/* Every page, once: where it is, what it is called, who may see it, and its place in the navigation. */
import type { ComponentType } from "preact";
import { ChartsPage, WorkersPage } from "./charts";
import { AuditPage } from "./pages/audit";
import { EventsPage } from "./pages/events";
import { LunPage } from "./pages/lun";
import { LunsPage } from "./pages/luns";
import { OverviewPage } from "./pages/overview";
import { SessionsPage } from "./pages/sessions";
import { TargetPage } from "./pages/target";
import { TargetsPage } from "./pages/targets";
import type { Params } from "./router";
import type { Role } from "./session";

export interface Page {
	path: string;
	title: string;
	component: ComponentType<{ params: Params }>;
	role: Role;
	nav?: string; /* in the navigation, under this name; absent: reached from another page */
}

export const PAGES: Page[] = [
	{ path: "/", title: "Overview", component: OverviewPage, role: "viewer", nav: "Overview" },
	{ path: "/luns", title: "LUNs", component: LunsPage, role: "viewer", nav: "LUNs" },
	{ path: "/luns/:lun", title: "LUN", component: LunPage, role: "viewer" },
	{ path: "/targets", title: "Targets", component: TargetsPage, role: "viewer", nav: "Targets" },
	{ path: "/targets/:target", title: "Target", component: TargetPage, role: "viewer" },
	{ path: "/sessions", title: "Sessions", component: SessionsPage, role: "viewer", nav: "Sessions" },
	{ path: "/charts", title: "Charts", component: ChartsPage, role: "viewer", nav: "Charts" },
	{ path: "/workers", title: "Workers and host", component: WorkersPage, role: "viewer", nav: "Workers" },
	{ path: "/events", title: "Events", component: EventsPage, role: "viewer", nav: "Events" },
	{ path: "/audit", title: "Audit", component: AuditPage, role: "admin", nav: "Audit" },
];
