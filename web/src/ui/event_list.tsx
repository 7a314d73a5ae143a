/* A few events, the newest first. */
import { type Event, objectPage } from "../events";
import { timeFull, timeShort } from "../format";

export function ObjectLink({ object }: { object: string }) {
	const page = objectPage(object);
	return page ? <a href={page}>{object}</a> : <>{object}</>;
}

export function EventList({ events, none }: { events: Event[]; none: string }) {
	if (events.length === 0) return <p class="dim pad">{none}</p>;
	return (
		<ol class="events">
			{events.map((event) => (
				<li key={event.id}>
					<time dateTime={event.time} title={timeFull(event.time)}>
						{timeShort(event.time)}
					</time>
					<span>
						<span class="kind">{event.kind}</span> <ObjectLink object={event.object} /> {event.text}
					</span>
				</li>
			))}
		</ol>
	);
}
