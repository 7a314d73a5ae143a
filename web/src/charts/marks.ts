/* Marks of what happened, near ones together. Pure. */
export interface Mark { time: number; kind: string; object: string; text: string }
export interface MarkGroup { at: number; marks: Mark[] }

/* Marks of a span that would overlap become one; `near` is a part of the span. */
export function groupMarks(all: Mark[], from: number, to: number, near: number): MarkGroup[] {
	const groups: MarkGroup[] = [];
	for (const mark of all) {
		if (mark.time < from || mark.time > to)
			continue;
		const last = groups[groups.length - 1];
		if (last && mark.time - last.at < near * (to - from))
			last.marks.push(mark);
		else
			groups.push({ at: mark.time, marks: [mark] });
	}
	return groups;
}
