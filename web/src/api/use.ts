/* What a page shows: loaded once, again on request, and every now and then while it is seen. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ProblemError, type Problem } from "./client";

export interface Loaded<T> {
	data: T | undefined;
	problem: Problem | undefined; /* of the last attempt; data of an earlier one stays */
	loading: boolean;
	reload(): Promise<void>;
}

function asProblem(error: unknown): Problem {
	if (error instanceof ProblemError) return error.problem;
	return { title: "The page failed", status: 0, code: "page", detail: String(error) };
}

/* deps: load anew at once when one changes. everyMs 0: only then. */
export function useLoaded<T>(load: () => Promise<T>, deps: unknown[], everyMs = 0): Loaded<T> {
	const [state, setState] = useState<Omit<Loaded<T>, "reload">>({
		data: undefined,
		problem: undefined,
		loading: true,
	});
	const turn = useRef(0);
	const reload = useCallback(async () => {
		const mine = ++turn.current;
		try {
			const data = await load();
			if (mine === turn.current) setState({ data, problem: undefined, loading: false });
		} catch (error) {
			if (mine === turn.current)
				setState((old) => ({ data: old.data, problem: asProblem(error), loading: false }));
		}
	}, deps);

	useEffect(() => {
		setState({ data: undefined, problem: undefined, loading: true });
		void reload();
		const onVisible = () => {
			if (!document.hidden && everyMs) void reload();
		};
		const timer = everyMs ? window.setInterval(onVisible, everyMs) : 0;
		document.addEventListener("visibilitychange", onVisible);
		return () => {
			turn.current++;
			window.clearInterval(timer);
			document.removeEventListener("visibilitychange", onVisible);
		};
	}, [reload, everyMs]);

	return { ...state, reload };
}

export interface Action {
	busy: boolean;
	problem: ProblemError | undefined;
	run(work: () => Promise<void>): Promise<boolean>;
	clear(): void;
}

/* A change on its way: busy until it is answered, then its problem, if any. */
export function useAction(): Action {
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState<ProblemError>();
	const run = async (work: () => Promise<void>) => {
		setBusy(true);
		setProblem(undefined);
		try {
			await work();
			return true;
		} catch (error) {
			setProblem(error instanceof ProblemError ? error : new ProblemError(asProblem(error)));
			return false;
		} finally {
			setBusy(false);
		}
	};
	return { busy, problem, run, clear: () => setProblem(undefined) };
}

const CHANGED = "The page has done so: look at the new state, then try again.";

/* Changes an object only if it is still what was read when the dialog was opened. When it is not, it is read anew, the
 * problem says so, and the next attempt goes by the new state. */
export function useRead(object: { revision?: number }, reload: () => void) {
	const [revision, setRevision] = useState(object.revision);
	const change = async (work: (tag: string) => Promise<unknown>) => {
		try {
			await work(`"${revision ?? object.revision}"`);
		} catch (error) {
			if (!(error instanceof ProblemError) || error.problem.status !== 412) throw error;
			setRevision(undefined);
			reload();
			throw new ProblemError({ ...error.problem, detail: `${error.problem.detail} ${CHANGED}` });
		}
	};
	return { change };
}
