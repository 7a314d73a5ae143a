/* Who is logged in and what that one may do. */
import { type Login, type Schema, ask, client, login } from "./api/client";
import { useStore } from "./store";

export type Role = Schema["Token"]["role"];

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

export async function whoAmI(): Promise<void> {
	try {
		login.set((await ask(client.GET("/api/v1/login"))).data);
	} catch {
		login.set(null);
	}
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
