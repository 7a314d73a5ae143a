/* What the charts mark: the events that the daemon keeps and, for admins, older changes from the audit log. */
import { useMemo } from "preact/hooks";
import type { Schema } from "../api/client";
import { login } from "../api/client";
import { useLoaded } from "../api/use";
import { type Event, useEvents } from "../events";
import { mayBe } from "../session";
import { useStore } from "../store";
import { getJson } from "./client";
import type { Mark } from "./marks";

const secondsOf = (time: string | undefined) => Date.parse(time ?? "") / 1000;

const ofEvent = ({ time, kind, object, text }: Event): Mark => ({ time: secondsOf(time), kind, object, text });

function ofAudit(entry: Schema["AuditEntry"]): Mark {
	return { time: secondsOf(entry.time), kind: "change", object: entry.object, text: `${entry.method} by ${entry.actor}` };
}

/* In order of time. */
export function useMarks(): Mark[] {
	const { events } = useEvents();
	const admin = mayBe(useStore(login), "admin");
	const audit = useLoaded(async () => admin ? getJson<Schema["AuditList"]>("/api/v1/audit", { limit: "200" }) : null, [admin]);
	return useMemo(() => {
		const marks = events.map(ofEvent).filter((mark) => Number.isFinite(mark.time)).reverse();
		const first = marks[0]?.time ?? Infinity;
		const older = (audit.data?.items ?? []).filter((entry) => !entry.dry_run && entry.status < 400).map(ofAudit)
			.filter((mark) => mark.time < first).reverse();
		return [...older, ...marks];
	}, [events, audit.data]);
}
