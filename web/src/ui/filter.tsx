/* What a long list is narrowed by: a text, and how much of the list is left. */
import { count } from "../format";

interface FilterProps {
	label?: string;
	value: string;
	placeholder: string;
	onValue(value: string): void;
}

export function Filter({ label = "Filter", value, placeholder, onValue }: FilterProps) {
	return (
		<label>
			{label}{" "}
			<input
				type="search"
				value={value}
				placeholder={placeholder}
				data-testid="filter"
				onInput={(event) => onValue(event.currentTarget.value)}
			/>
		</label>
	);
}

/* "3 of 12 LUNs". */
export const countText = (shown: number, all: number, noun: string) =>
	shown === all ? count(all, noun) : `${shown} of ${count(all, noun)}`;
