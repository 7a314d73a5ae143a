/* Who is logged in and what that one may do. */
import { type Login, type Problem, type ProblemError, type Schema, ask, client, login } from "./api/client";
import { Store, useStore } from "./store";

export type Role = Schema["Token"]["role"];

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

/* Why it is not known who is logged in; null: it is, or is being asked. */
export const unknown = new Store<Problem | null>(null);

/* Asked at the start and on the way from page to page: a token may have been revoked meanwhile. */
export async function whoAmI(): Promise<void> {
	try {
		unknown.set(null);
		login.set((await ask(client.GET("/api/v1/login"))).data);
	} catch (error) {
		const problem = (error as ProblemError).problem;
		if (problem.status === 401) login.set(null);
		else if (!login.get()) unknown.set(problem);
	}
}

/* That there was a login here: without one the service is not asked, because it counts what it must refuse. */
const HINT = "lunette-login";

login.watch(() => {
	try {
		if (login.get()) localStorage.setItem(HINT, "1");
		else localStorage.removeItem(HINT);
	} catch {
		/* storage may be forbidden: then it is asked */
	}
});

export function start(): void {
	let hint: string | null = "1";
	try {
		hint = localStorage.getItem(HINT);
	} catch {
		/* as above */
	}
	if (hint) void whoAmI();
	else login.set(null);
}

export async function logIn(token: string): Promise<void> {
	login.set((await ask(client.POST("/api/v1/login", { body: { token } }))).data);
}

export async function logOut(): Promise<void> {
	await ask(client.DELETE("/api/v1/login"));
	login.set(null);
}

export function mayBe(who: Login | null | undefined, role: Role): boolean {
	return !!who && RANK[who.role as Role] >= RANK[role];
}

export interface May {
	ok: boolean;
	why: string;
}

/* Whether the one who is logged in may do what needs the role, and if not, why in words. */
export function useMay(role: Role): May {
	const who = useStore(login);
	const ok = mayBe(who, role);
	return {
		ok,
		why: ok || !who ? "" : `Your token “${who.actor}” has the role ${who.role}; this needs the role ${role}.`,
	};
}
