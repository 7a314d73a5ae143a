/* Tells when the page's colours change: <html data-theme> is always the theme that is seen. */
const listeners = new Set<() => void>();

new MutationObserver(() => requestAnimationFrame(() => listeners.forEach((listener) => listener())))
	.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

export function watchTheme(listener: () => void): () => void {
	listeners.add(listener);
	return () => void listeners.delete(listener);
}

export const isDark = () => document.documentElement.dataset["theme"] === "dark";
