/* The page's state lives in the hash: what is seen of time and view are steps of the history, the rest replaces the last. */
import { useMemo } from "preact/hooks";
import { go, placeNow, usePlace } from "../router";
import { type ChartState, stateParse, stateQuery } from "./state";

export function useUrlState(): [ChartState, (next: Partial<ChartState>) => void] {
	const query = usePlace().query.toString();
	const state = useMemo(() => stateParse(query), [query]);
	const change = (part: Partial<ChartState>) => {
		const place = placeNow();
		const next = stateQuery({ ...stateParse(place.query.toString()), ...part });
		go(`#${place.path}${next ? "?" + next : ""}`, !("range" in part || "zoom" in part || "view" in part));
	};
	return [state, change];
}
