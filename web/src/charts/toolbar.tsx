/* What all time charts have above them: range, average or maximum, live, zone, reset, a link to the same picture. */
import { useState } from "preact/hooks";
import { zoneText } from "./format";
import { RANGES } from "./range";
import { THRESHOLD_MAX, THRESHOLD_MIN } from "./scale";
import type { ChartState } from "./state";

export interface ToolbarProps {
	state: ChartState;
	stream: string;       /* why no live samples come; "" when they do */
	reduction?: boolean;  /* offer to break the axis */
	hash?: string;        /* of the same picture, where the URL does not hold the state */
	onChange(next: Partial<ChartState>): void;
}

function Choice<T extends string>({ label, options, value, onChoose }: { label: string; options: [T, string][]; value: T;
		onChoose(value: T): void }) {
	return <div class="chart-choice" role="group" aria-label={label}>
		{options.map(([name, title]) => <button key={name} type="button" aria-pressed={name === value}
			onClick={() => onChoose(name)}>{title}</button>)}
	</div>;
}

export function ThresholdSlider({ threshold, disabled, onChange }: { threshold: number; disabled?: boolean;
		onChange(next: number): void }) {
	return <label class="chart-threshold">Break what takes more than <output>{Math.round(threshold * 100)} %</output> of the height
		<input type="range" min={THRESHOLD_MIN} max={THRESHOLD_MAX} step="0.05" value={threshold} disabled={disabled}
			onInput={(event) => onChange(Number(event.currentTarget.value))} />
	</label>;
}

export function CopyLink({ hash }: { hash?: string }) {
	const [said, setSaid] = useState("");
	const copy = async () => {
		try {
			await navigator.clipboard.writeText(hash ? location.href.replace(/#.*|$/, hash) : location.href);
			setSaid("Copied");
		} catch { /* no clipboard without TLS: the address bar has it */
			setSaid("Copy it from the address bar");
		}
		window.setTimeout(() => setSaid(""), 3000);
	};
	return <button type="button" onClick={() => void copy()}><span aria-live="polite">{said || "Copy link"}</span></button>;
}

export function Toolbar({ state, stream, reduction, hash, onChange }: ToolbarProps) {
	return <div class="chart-toolbar">
		<Choice label="Range" options={RANGES.map((range) => [range.name, range.title])} value={state.zoom ? "" : state.range}
			onChoose={(range) => onChange({ range, zoom: null })} />
		{state.zoom && <button type="button" class="chart-reset" onClick={() => onChange({ zoom: null })}>Reset zoom</button>}
		<Choice label="Of each step" options={[["average", "Average"], ["max", "Maximum"]]} value={state.cf}
			onChoose={(cf) => onChange({ cf })} />
		<button type="button" class="chart-live" aria-pressed={state.live && !state.zoom} disabled={state.zoom !== null}
			onClick={() => onChange({ live: !state.live })}>{state.live && !state.zoom ? "Pause" : "Resume live"}</button>
		<Choice label="Time zone" options={[["local", `Local, ${zoneText("local")}`], ["utc", "UTC"]]} value={state.zone}
			onChoose={(zone) => onChange({ zone })} />
		{reduction && <button type="button" aria-pressed={state.reduction}
			onClick={() => onChange({ reduction: !state.reduction })}>{state.reduction ? "Full scale" : "Break the axis"}</button>}
		{reduction && state.reduction && <ThresholdSlider threshold={state.group.threshold}
			onChange={(threshold) => onChange({ group: { ...state.group, threshold } })} />}
		<CopyLink hash={hash} />
		{state.live && !state.zoom && stream && <span class="chart-stream" role="status">Live is off: {stream}</span>}
	</div>;
}
