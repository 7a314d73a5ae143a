/* What happens, as it happens. */
import { useState } from "preact/hooks";
import { type Event, useEvents } from "../events";
import { useQueryState } from "../router";
import { Badge, Button } from "../ui/controls";
import { EventList } from "../ui/event_list";
import { countText, Filter } from "../ui/filter";
import { Head, Panel } from "../ui/page";
import { Empty, Loading, Note } from "../ui/states";

const SHOWN = 300;

export function EventsPage() {
	const log = useEvents();
	const [state, setState] = useQueryState({ filter: "", kind: "" });
	const [paused, setPaused] = useState<Event[] | null>(null);
	const all = paused ?? log.events;
	const kinds = [...new Set(log.events.map((event) => event.kind))].sort();
	const needle = state.filter.toLowerCase();
	const shown = all.filter(
		(event) =>
			(!state.kind || event.kind === state.kind) &&
			`${event.object} ${event.text}`.toLowerCase().includes(needle),
	);
	const waiting = paused ? log.events.filter((event) => event.id > (paused[0]?.id ?? 0)).length : 0;
	const live = log.stream === "open";

	return (
		<>
			<Head
				title="Events"
				lead="What happened since the daemon started, the newest first. Who changed what stands in the audit log."
				actions={
					<>
						{live ? (
							<Badge tone={paused ? "off" : "ok"}>{paused ? "paused" : "live"}</Badge>
						) : (
							<Badge tone="warning">{log.stream}</Badge>
						)}
						<Button onClick={() => setPaused(paused ? null : log.events)} testid="pause">
							{paused ? `Go on${waiting ? ` (${waiting} new)` : ""}` : "Pause"}
						</Button>
					</>
				}
			/>
			{log.problem && !live && (
				<Note kind="warning">
					Events do not come at the moment: {log.problem}.{" "}
					{log.stream === "waiting" && "The page tries again by itself."}
				</Note>
			)}
			<div class="filters">
				<Filter value={state.filter} placeholder="object or text" onValue={(value) => setState({ filter: value })} />
				<label>
					Kind{" "}
					<select
						value={state.kind}
						data-testid="kind"
						onChange={(event) => setState({ kind: event.currentTarget.value })}
					>
						<option value="">all</option>
						{kinds.map((kind) => (
							<option key={kind} value={kind}>
								{kind}
							</option>
						))}
					</select>
				</label>
				<span class="dim" role="status">
					{countText(shown.length, all.length, "event")}
				</span>
			</div>
			{all.length === 0 ? (
				live ? (
					<Empty title="Nothing has happened yet">
						Create a LUN or log an initiator in: it appears here at once.
					</Empty>
				) : log.stream === "connecting" ? (
					<Loading what="the events" />
				) : null
			) : shown.length === 0 ? (
				<Empty
					title="No event fits the filter"
					action={<Button onClick={() => setState({ filter: "", kind: "" })}>Clear the filter</Button>}
				/>
			) : (
				<Panel title="Events">
					<EventList events={shown.slice(0, SHOWN)} none="" />
					{shown.length > SHOWN && <p class="dim pad">The newest {SHOWN} are shown; filter to see others.</p>}
				</Panel>
			)}
		</>
	);
}
