/* Runs of known values, as one path: gaps stay gaps. */
export function sparkPath(values: (number | null)[], width: number, height: number): string {
	const most = values.reduce<number>((max, value) => Math.max(max, value ?? 0), 0) || 1;
	let text = "", pen = false;
	values.forEach((value, i) => {
		if (value === null) {
			pen = false;
			return;
		}
		const x = values.length > 1 ? i / (values.length - 1) * width : 0;
		text += `${pen ? "L" : "M"}${x.toFixed(1)},${(height - 1 - value / most * (height - 2)).toFixed(1)}`;
		pen = true;
	});
	return text;
}
