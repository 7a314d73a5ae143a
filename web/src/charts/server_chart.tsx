/* A picture that the server draws (heat map), as wide as the page and in its theme. */
import { useEffect, useRef, useState } from "preact/hooks";
import { requestUrl } from "./client";
import { isDark, watchTheme } from "./theme";

export function ServerChart({ chart, title, query }: { chart: string; title: string; query: Record<string, string> }) {
	const ref = useRef<HTMLElement>(null);
	const [width, setWidth] = useState(0);
	const [dark, setDark] = useState(isDark());
	const [failed, setFailed] = useState(false);
	useEffect(() => {
		setWidth(Math.max(200, Math.floor(ref.current!.clientWidth)));
		return watchTheme(() => setDark(isDark()));
	}, []);
	const url = requestUrl(`/api/v1/charts/${chart}.svg`, { ...query, width: String(width), height: "280",
		theme: dark ? "dark" : "light" });
	const [shown, setShown] = useState(url);
	useEffect(() => { /* not each second: a picture of the server is not live */
		const timer = window.setTimeout(() => { setShown(url); setFailed(false); }, 400);
		return () => window.clearTimeout(timer);
	}, [width, dark, query["object"], Math.floor(Number(query["to"]) / 10)]);

	return <section class="chart" ref={ref}>
		<header><h2>{title}</h2><nav><a href={shown} target="_blank" rel="noopener">SVG</a></nav></header>
		{failed ? <p class="chart-empty">The server could not draw it.</p>
			: width > 0 && <img class="chart-image" src={shown} alt={`${title} of ${query["object"]}`} onError={() => setFailed(true)} />}
	</section>;
}
