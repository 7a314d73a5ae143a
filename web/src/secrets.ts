/* CHAP secrets that were set on this page, until it is closed: for the commands to copy. They are stored nowhere. */
const known = new Map<string, { secret: string; mutual: string }>();

export function remember(target: string, secret: string, mutual: string): void {
	const old = known.get(target);
	known.set(target, { secret: secret || old?.secret || "", mutual: mutual || old?.mutual || "" });
}

export const recall = (target: string) => known.get(target) ?? { secret: "", mutual: "" };
