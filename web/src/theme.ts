/* Light, dark or as the system says. <html data-theme> is always the one that is seen. */
import { Store } from "./store";

export type Theme = "system" | "light" | "dark";
export const THEMES: Theme[] = ["system", "light", "dark"];
const KEY = "lunette-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function stored(): Theme {
	try {
		const text = localStorage.getItem(KEY) as Theme;
		return THEMES.includes(text) ? text : "system";
	} catch {
		return "system"; /* storage may be forbidden */
	}
}

export const theme = new Store<Theme>(stored());

function apply(): void {
	const wanted = theme.get();
	document.documentElement.dataset["theme"] = wanted === "system" ? (system.matches ? "dark" : "light") : wanted;
}

export function setTheme(wanted: Theme): void {
	theme.set(wanted);
	try {
		localStorage.setItem(KEY, wanted);
	} catch {
		/* then only until the page is closed */
	}
}

theme.watch(apply);
system.addEventListener("change", apply);
apply();
