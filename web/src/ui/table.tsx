/* Tables: a caption, headings that sort, rows that become cards where the window is narrow. */
import type { ComponentChildren } from "preact";

export interface Column<T> {
	key: string;
	title: string;
	cell(row: T): ComponentChildren;
	sort?: (row: T) => string | number | null; /* absent: not sortable */
	numeric?: boolean;
}

export interface Sorting {
	sort: string;
	down: boolean;
}

interface TableProps<T> {
	caption: string;
	columns: Column<T>[];
	rows: T[];
	rowKey(row: T): string;
	sorting?: Sorting;
	onSorting?(sorting: Sorting): void;
	testid?: string;
}

/* Unknown ones last, whichever the direction. */
export function sortRows<T>(rows: T[], column: Column<T> | undefined, down: boolean): T[] {
	const value = column?.sort;
	if (!value) return rows;
	return [...rows].sort((a, b) => {
		const x = value(a),
			y = value(b);
		if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0);
		const order =
			typeof x === "number" && typeof y === "number"
				? x - y
				: String(x).localeCompare(String(y), undefined, { numeric: true });
		return down ? -order : order;
	});
}

function Heading<T>({
	column,
	sorting,
	onSorting,
}: {
	column: Column<T>;
	sorting: Sorting | undefined;
	onSorting: ((sorting: Sorting) => void) | undefined;
}) {
	const mine = sorting?.sort === column.key;
	const kind = column.numeric ? "number" : undefined;
	if (!column.sort || !onSorting)
		return (
			<th scope="col" class={kind}>
				{column.title}
			</th>
		);
	return (
		<th scope="col" class={kind} aria-sort={mine ? (sorting!.down ? "descending" : "ascending") : "none"}>
			<button
				type="button"
				onClick={() => onSorting({ sort: column.key, down: mine ? !sorting!.down : !!column.numeric })}
			>
				{column.title}
				<span aria-hidden="true" class="arrow">
					{mine ? (sorting!.down ? "▼" : "▲") : ""}
				</span>
			</button>
		</th>
	);
}

export function Table<T>({ caption, columns, rows, rowKey, sorting, onSorting, testid }: TableProps<T>) {
	const shown = sorting
		? sortRows(
				rows,
				columns.find((column) => column.key === sorting.sort),
				sorting.down,
			)
		: rows;
	return (
		<table data-testid={testid}>
			<caption class="hidden">{caption}</caption>
			<thead>
				<tr>
					{columns.map((column) => (
						<Heading key={column.key} column={column} sorting={sorting} onSorting={onSorting} />
					))}
				</tr>
			</thead>
			<tbody>
				{shown.map((row) => (
					<tr key={rowKey(row)} data-key={rowKey(row)}>
						{columns.map((column, i) => {
							const className = column.numeric ? "number" : undefined;
							return i === 0 ? (
								<th key={column.key} scope="row" data-label={column.title}>
									{column.cell(row)}
								</th>
							) : (
								<td key={column.key} class={className} data-label={column.title}>
									{column.cell(row)}
								</td>
							);
						})}
					</tr>
				))}
			</tbody>
		</table>
	);
}
