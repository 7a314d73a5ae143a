/*
 * Server-sent events over fetch: EventSource can neither send Last-Event-ID at the start (the daemon then tells what it
 * still knows) nor say why it failed. Reconnects with patience; rests while the page is hidden, because a browser has only
 * six connections for us.
 */
export interface Message { event: string; id: string; data: string }

/* Feed it text as it comes; it gives whole messages. */
export class MessageParser {
	private rest = "";

	feed(text: string): Message[] {
		const blocks = (this.rest + text).split("\n\n");
		this.rest = blocks.pop()!;
		return blocks.map(parseBlock).filter((message) => message.data !== "");
	}
}

function parseBlock(block: string): Message {
	const message: Message = { event: "message", id: "", data: "" };
	const data: string[] = [];
	for (const line of block.split("\n")) {
		const at = line.indexOf(":");
		const name = at < 0 ? line : line.slice(0, at);
		const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
		if (name === "data")
			data.push(value);
		else if (name === "event" || name === "id")
			message[name] = value;
	}
	message.data = data.join("\n");
	return message;
}

export type StreamState = "connecting" | "open" | "waiting" | "refused";

export interface StreamOptions {
	url: string;
	lastEventId?: string;
	onMessage(message: Message): void;
	onState?(state: StreamState, problem: string): void;
}

const RETRY_MIN_MS = 1000, RETRY_MAX_MS = 15000;

async function readAll(response: Response, onMessage: (message: Message) => void): Promise<void> {
	const parser = new MessageParser();
	const reader = response.body!.getReader();
	const decoder = new TextDecoder();
	for (;;) {
		const { done, value } = await reader.read();
		if (done)
			return;
		parser.feed(decoder.decode(value, { stream: true })).forEach(onMessage);
	}
}

async function problemOf(response: Response): Promise<string> {
	const body = await response.json().catch(() => null) as { detail?: string; title?: string } | null;
	return body?.detail ?? body?.title ?? `the daemon answered ${response.status}`;
}

/* Follows the stream until the returned function is called. What a client asked wrongly (4xx) is not asked again. */
export function follow(options: StreamOptions): () => void {
	let lastId = options.lastEventId ?? "";
	let retryMs = RETRY_MIN_MS;
	let timer = 0;
	let abort: AbortController | null = null;
	let ended = false;

	const say = (state: StreamState, problem = "") => options.onState?.(state, problem);
	const later = (problem: string) => {
		if (ended || document.hidden)
			return;
		say("waiting", problem);
		timer = window.setTimeout(connect, retryMs);
		retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
	};
	async function connect(): Promise<void> {
		const mine = abort = new AbortController();
		say("connecting");
		try {
			const response = await fetch(options.url, {
				signal: mine.signal, credentials: "same-origin", cache: "no-store",
				headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) },
			});
			if (response.status >= 400 && response.status < 500 && response.status !== 429) {
				say("refused", await problemOf(response));
				return;
			}
			if (!response.ok)
				throw new Error(await problemOf(response));
			say("open");
			await readAll(response, (message) => {
				retryMs = RETRY_MIN_MS;
				lastId = message.id || lastId;
				if (!ended)
					options.onMessage(message);
			});
			throw new Error("the daemon ended the stream");
		} catch (error) {
			if (!mine.signal.aborted)
				later((error as Error).message);
		}
	}
	const stop = () => {
		window.clearTimeout(timer);
		abort?.abort();
		abort = null;
	};
	const onVisibility = () => {
		stop();
		if (!document.hidden)
			void connect();
	};
	document.addEventListener("visibilitychange", onVisibility);
	if (!document.hidden)
		void connect();
	return () => {
		ended = true;
		document.removeEventListener("visibilitychange", onVisibility);
		stop();
	};
}
