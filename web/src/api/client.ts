/*
 * The REST service, typed from its contract. What it refuses becomes a ProblemError with its own words; without a login
 * one gets to the login page and back.
 */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { Store } from "../store";

export type Schema = components["schemas"];
export type Problem = Pick<Schema["Problem"], "title" | "status" | "code" | "detail" | "errors" | "request_id">;
export type Login = Schema["Login"];

export class ProblemError extends Error {
	constructor(readonly problem: Problem) {
		super(problem.detail || problem.title);
	}

	/* What is said about one member of the body: "/size_bytes". */
	at(pointer: string): string | undefined {
		return this.problem.errors?.find((error) => error.pointer === pointer)?.detail;
	}
}

/* undefined: not asked yet; null: nobody. */
export const login = new Store<Login | null | undefined>(undefined);

export const client = createClient<paths>({ baseUrl: location.origin, credentials: "same-origin" });

const UNREACHABLE: Problem = {
	title: "The daemon does not answer",
	status: 0,
	code: "unreachable",
	detail:
		"Nothing answered at this address. Check that lunetted runs (systemctl status lunetted) and that the network to " +
		"it works. The page tries again.",
};

function problemOf(error: unknown, response: Response): Problem {
	if (typeof error === "object" && error !== null && "title" in error) return error as Problem;
	return {
		title: response.statusText || "Error",
		status: response.status,
		code: "",
		detail: `The daemon answered ${response.status} without saying why.`,
	};
}

interface Result<T> {
	data?: T;
	error?: unknown;
	response: Response;
}
export interface Answer<T> {
	data: T;
	etag: string;
	status: number;
}

/* The answer, or a ProblemError. */
export async function ask<T>(request: Promise<Result<T>>): Promise<Answer<T>> {
	let result: Result<T>;
	try {
		result = await request;
	} catch (error) {
		if ((error as Error).name === "AbortError") throw error;
		throw new ProblemError(UNREACHABLE);
	}
	const { response } = result;
	if (response.ok)
		return { data: result.data as T, etag: response.headers.get("ETag") ?? "", status: response.status };
	if (response.status === 401 && login.get()) login.set(null);
	throw new ProblemError(problemOf(result.error, response));
}

const OPERATION_POLL_MS = 300;

/* Waits for a change that is answered with 202: the operation that Location names. */
export async function settle<T>(request: Promise<Result<T>>): Promise<Answer<T>> {
	const answer = await ask(request);
	if (answer.status !== 202) return answer;
	const { id } = answer.data as unknown as Schema["Operation"];
	for (;;) {
		const { data } = await ask(
			client.GET("/api/v1/operations/{operation}", { params: { path: { operation: id } } }),
		);
		if (data.state === "failed") throw new ProblemError(data.problem as unknown as Problem);
		if (data.state === "succeeded") return answer;
		await new Promise((resolve) => window.setTimeout(resolve, OPERATION_POLL_MS));
	}
}

/* All pages of a list. */
export async function all<T>(
	page: (cursor?: string) => Promise<Result<{ items: T[]; next_cursor: string | null }>>,
): Promise<T[]> {
	const items: T[] = [];
	let cursor: string | undefined;
	do {
		const { data } = await ask(page(cursor));
		items.push(...data.items);
		cursor = data.next_cursor ?? undefined;
	} while (cursor);
	return items;
}

export const PAGE_SIZE = 1000;
