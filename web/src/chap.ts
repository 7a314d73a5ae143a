/* Names and secrets that the page proposes. */
const LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"; /* none that looks like another */

/* 16 letters: what Windows takes (12 to 16), 93 bits. */
export function makeSecret(length = 16): string {
	const secret: string[] = [];
	while (secret.length < length)
		for (const byte of crypto.getRandomValues(new Uint8Array(32)))
			if (byte < LETTERS.length * Math.floor(256 / LETTERS.length) && secret.length < length)
				secret.push(LETTERS[byte % LETTERS.length]!);
	return secret.join("");
}

/* "iqn.2026-11.io.lunette:" with what the targets that are there call themselves, if they agree. */
export function iqnPrefix(names: string[]): string {
	const prefixes = new Set(
		names.map((name) => /^(iqn\.\d{4}-\d{2}\.[^:]+:)/.exec(name)?.[1]).filter(Boolean) as string[],
	);
	return prefixes.size === 1 ? [...prefixes][0]! : "iqn.2026-11.io.lunette:";
}

export const iqnValid = (name: string): boolean =>
	/^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[a-z0-9.:-]+)?$/.test(name) ||
	/^(eui\.[0-9a-f]{16}|naa\.[0-9a-f]{16,32})$/i.test(name);
