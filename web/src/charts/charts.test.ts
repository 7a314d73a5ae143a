/// <reference types="node" />
/* The pure parts of the charts. Names are sentences; each compares with numbers that a person can check. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { groupMarks } from "./marks";
import { spanCaption, spanText, tickTimes, ticks, timeText, valueText } from "./format";
import { LiveGrid, type Sample, type SeriesSet, gridIndex, gridTimes, hasNewObjects, isolated } from "./grid";
import { PANELS, lineStyle, panelsOf } from "./panels";
import { RANGES, SPAN_MIN_S, spanClamp, spanZoom } from "./range";
import { reductionCompute, reductionOf } from "./reduction";
import { type Segment, brokenTicks, factorText, heightOf, isBreak, valueOf } from "./scale";
import { sparkPath } from "./spark_path";
import { type ChartState, DEFAULT_STATE, isLive, stateParse, stateQuery } from "./state";
import { MessageParser } from "./stream";
import { parseWorkerFacts } from "./worker_facts";

test("values are written with their unit", () => {
	const rows: [number | null, string, string][] = [
		[null, "bytes", "unknown"], [NaN, "1", "unknown"], [0, "bytes", "0 B"], [1536, "bytes", "1.5 KiB"],
		[40 * 2 ** 40, "bytes", "40 TiB"], [2 ** 30, "bytes/s", "1 GiB/s"], [18400, "operations/s", "18.4 k/s"],
		[7, "events/s", "7 /s"], [0.0023, "seconds", "2.3 ms"], [0.00025, "seconds", "250 µs"], [1.5, "seconds", "1.5 s"],
		[0, "seconds", "0 s"], [12.34, "percent", "12.3 %"], [4, "1", "4"], [100, "1", "100"], [999.9, "operations/s", "1 k/s"],
	];
	for (const [value, unit, text] of rows)
		assert.equal(valueText(value, unit), text);
});

test("ticks of bytes are powers of two, of operations 1, 2 or 5 times a power of ten", () => {
	assert.deepEqual(ticks(0, 4096, 4, "bytes"), [0, 1024, 2048, 3072, 4096]);
	assert.deepEqual(ticks(0, 90, 5, "operations/s"), [0, 20, 40, 60, 80]);
	assert.deepEqual(ticks(3, 3, 5, "1"), [3]);
});

test("the date is below a time only where it changes", () => {
	assert.deepEqual(tickTimes([1764028800 - 3600, 1764028800, 1764028800 + 3600], 3600, "utc"),
		["23:00\n24 Nov", "00:00\n25 Nov", "01:00"]);
	assert.deepEqual(tickTimes([1764028800, 1764028805], 5, "utc"), ["00:00:00\n25 Nov", "00:00:05"]);
	assert.deepEqual(tickTimes([1764028800], 86400, "utc"), ["25 Nov\n2025"]);
});

test("moments and spans say their zone", () => {
	assert.equal(timeText(1764028805, 1, "utc"), "25 Nov 2025, 00:00:05 UTC");
	assert.equal(spanCaption({ from: 1764028800, to: 1764032400 }, "utc"), "25 Nov 2025, 00:00 to 01:00 (UTC)");
	assert.equal(spanCaption({ from: 1764028800 - 60, to: 1764028800 + 300 }, "utc"),
		"24 Nov 2025, 23:59 to 25 Nov 2025, 00:05 (UTC)");
	assert.deepEqual([1, 600, 7200, 172800].map(spanText), ["1 s", "10 min", "2 h", "2 d"]);
});

test("a state survives the URL", () => {
	const state: ChartState = {
		view: "group", objects: ["lun:a,b%2C", "target:iqn.2026-11.io.lunette:demo"], charts: ["iops", "cpu"], range: "7d",
		zoom: { from: 100, to: 200 }, cf: "max", live: false, zone: "utc", reduction: true, hidden: ["lun:a,b%2C/read_iops"],
		group: { group: "target:iqn.2026-11.io.lunette:demo", data: "peak", metric: "cpu_percent", threshold: 0.35,
			reduction: false },
	};
	assert.deepEqual(stateParse(stateQuery(state)), state);
});

test("the default state needs no query, and a foreign query falls back to it", () => {
	assert.equal(stateQuery(DEFAULT_STATE), "");
	assert.deepEqual(stateParse(""), DEFAULT_STATE);
	assert.deepEqual(stateParse("object=nonsense&chart=x&range=9h&from=5&to=2&cf=min&threshold=7&data=q&group=zz&metric=%3C"),
		DEFAULT_STATE);
});

test("a picture that was zoomed does not move", () => {
	assert.equal(isLive(DEFAULT_STATE), true);
	assert.equal(isLive({ ...DEFAULT_STATE, zoom: { from: 1, to: 2 } }), false);
});

test("a zoom keeps its place, is never too short and never in the future", () => {
	assert.deepEqual(spanZoom({ from: 1000, to: 2000 }, 0.5, 1500, 9999), { from: 1250, to: 1750 });
	assert.deepEqual(spanZoom({ from: 1000, to: 2000 }, 2, 1500, 2000), { from: 0, to: 2000 });
	const least = spanClamp({ from: 1000, to: 1001 }, 9999);
	assert.equal(least.to - least.from, SPAN_MIN_S);
	assert.deepEqual(spanClamp({ from: 900, to: 500 }, 9999), { from: 500, to: 900 });
	assert.equal(spanClamp({ from: 0, to: 1e10 }, 1e10).to, 1e10);
	assert.equal(RANGES.length, 9);
});

const set = (values: (number | null)[]): SeriesSet => ({ from: 100, to: 100 + 10 * values.length, step_s: 10, cf: "average",
	series: [{ object: "lun:a", metric: "m", unit: "1", title: "", meaning: "", values }] });
const sample = (time: number, value: number | null): Sample => ({ time: "", time_ms: time * 1000,
	samples: [{ object: "lun:a", values: { m: value } }] });

test("a value stands at the end of its interval", () => {
	assert.deepEqual(gridTimes(set([1, 2])), [110, 120]);
	assert.equal(gridIndex(set([1, 2]), 110), 0);
	assert.equal(gridIndex(set([1, 2]), 110.5), 1);
	assert.equal(gridIndex(set([1, 2]), 121), -1);
	assert.equal(gridIndex(set([1, 2]), 100), -1);
});

test("live samples make the newest interval, older ones leave", () => {
	const live = new LiveGrid(set([1, 2, 3]), 30);
	assert.ok(live.add(sample(131, 10)));
	assert.ok(live.add(sample(132, 20)));
	assert.deepEqual(live.set.series[0]!.values, [1, 2, 3, 15]);
	assert.ok(live.add(sample(141, 40)));
	assert.deepEqual(live.set.series[0]!.values, [2, 3, 15, 40]);
	assert.equal(live.set.from, 110);
});

test("the largest of a step is kept when that is asked for", () => {
	const live = new LiveGrid({ ...set([1]), cf: "max" }, 30);
	live.add(sample(111, 10));
	live.add(sample(112, 4));
	assert.deepEqual(live.set.series[0]!.values, [1, 10]);
});

test("an unknown sample is a gap, and seconds that were missed are one too", () => {
	const live = new LiveGrid(set([1]), 300);
	assert.ok(live.add(sample(115, null)));
	assert.deepEqual(live.set.series[0]!.values, [1, null]);
	assert.ok(live.add(sample(135, 5)));
	assert.deepEqual(live.set.series[0]!.values, [1, null, null, 5]);
});

test("a stream that jumps is not drawn on", () => {
	const live = new LiveGrid(set([1]), 300);
	assert.equal(live.add(sample(50, 1)), false);
	assert.equal(live.add(sample(500, 1)), false);
	assert.deepEqual(live.set.series[0]!.values, [1]);
});

test("only a wildcard makes an unknown object a new one", () => {
	const other: Sample = { time: "", time_ms: 0, samples: [{ object: "lun:b", values: {} }] };
	assert.equal(hasNewObjects(set([1]), other, ["lun:*"]), true);
	assert.equal(hasNewObjects(set([1]), other, ["lun:a"]), false);
	assert.equal(hasNewObjects(set([1]), sample(0, 1), ["lun:*"]), false);
});

test("values between gaps are found", () => {
	assert.deepEqual(isolated([1, null, 2, null, 3, 4]), [0, 2]);
	assert.deepEqual(isolated([]), []);
});

test("a sparkline leaves gaps", () => {
	assert.equal(sparkPath([0, null, 4, 2], 30, 10), "M0.0,9.0M20.0,1.0L30.0,5.0");
});

const BROKEN: Segment[] = [
	{ from_value: 0, to_value: 20, from_height: 0, to_height: 0.6, factor: 1 },
	{ from_value: 20, to_value: 1000, from_height: 0.6, to_height: 0.7, factor: 294 },
	{ from_value: 1000, to_value: 1010, from_height: 0.7, to_height: 1, factor: 1 },
];

test("heights and values are each other's inverse over a break", () => {
	let before = -1;
	for (const value of [0, 1, 19.9, 20, 21, 500, 999, 1000, 1005, 1010]) {
		const height = heightOf(BROKEN, value);
		assert.ok(height > before);
		assert.ok(Math.abs(valueOf(BROKEN, height) - value) < 1e-9 * 1010);
		before = height;
	}
	assert.equal(heightOf(BROKEN, 20), 0.6);
	assert.equal(heightOf(BROKEN, 1000), 0.7);
});

test("a broken axis has no tick inside the break, but both its ends", () => {
	const list = brokenTicks(BROKEN, 320, "1");
	assert.ok(list.includes(20) && list.includes(1000) && list.includes(0));
	assert.deepEqual(list.filter((value) => value > 20 && value < 1000), []);
	list.slice(1).forEach((value, i) => assert.ok((heightOf(BROKEN, value) - heightOf(BROKEN, list[i]!)) * 320 >= 11));
	assert.equal(BROKEN.filter(isBreak).length, 1);
});

/* 40 TiB beside 20 GiB: the numbers of monitor/reduction.c for the same data. */
test("a region above the threshold is cut as the server cuts it", () => {
	const segments = reductionOf([[20, null, 15], [40960]], 0.6)!;
	assert.deepEqual(segments.map(isBreak), [false, true, false]);
	const [low, broken, high] = segments as [Segment, Segment, Segment];
	const slope = (1 - 0.08 - 2 * 0.03) / 20;
	assert.ok(Math.abs(low.to_value - (20 + 0.03 / slope)) < 1e-9);
	assert.ok(Math.abs(broken.to_height - broken.from_height - 0.08) < 1e-12);
	assert.ok(Math.abs(broken.factor - (broken.to_value - broken.from_value) * slope / 0.08) < 1e-6);
	assert.ok(Math.abs(high.to_value - high.from_value - 0.03 / slope) < 1e-6);
	assert.equal(high.to_height, 1);
});

test("two regions at most are cut, the second with the space that was gained", () => {
	const segments = reductionOf([[10, 1000, 100000]], 0.6)!;
	assert.deepEqual(segments.map(isBreak), [false, true, false, true, false]);
	for (const value of [10, 1000, 100000])
		assert.ok(segments.some((s) => !isBreak(s) && value >= s.from_value && value <= s.to_value));
});

test("at the threshold and below it nothing shrinks, nor when there is nothing else", () => {
	assert.equal(reductionOf([[40, 100]], 0.6)!.length, 1);
	assert.equal(reductionOf([[39, 100]], 0.6)!.length, 3);
	assert.equal(reductionOf([[0, 100]], 0.6)!.length, 1);
	assert.equal(reductionOf([[0], [null]], 0.6), null);
	assert.equal(reductionCompute([1, 1.2], 0.01).length, 1);
});

test("a factor is written with three digits", () => {
	assert.equal(factorText(18432), "1 : 18,400");
	assert.equal(factorText(2.345), "1 : 2.35");
});

test("server-sent events come in any pieces", () => {
	const parser = new MessageParser();
	const got = ["event: sam", "ple\nid: 7\ndata: {\"a\":\ndata: 1}\n", "\n:\n\ndata:x\n\nda"].flatMap((part) => parser.feed(part));
	assert.deepEqual(got, [{ event: "sample", id: "7", data: "{\"a\":\n1}" }, { event: "message", id: "", data: "x" }]);
});

test("events that would overlap become one mark", () => {
	const mark = (time: number) => ({ time, kind: "k", object: "o", text: String(time) });
	const groups = groupMarks([10, 100, 101, 150, 300].map(mark), 50, 250, 0.05);
	assert.deepEqual(groups.map((group) => [group.at, group.marks.length]), [[100, 2], [150, 1]]);
});

test("panels fit the kinds of the objects", () => {
	assert.ok(panelsOf(["lun:a"]).every((panel) => panel.kinds.includes("lun")));
	assert.deepEqual(panelsOf(["target:x"], ["sessions"])[0]!.metrics, ["sessions"]);
	assert.deepEqual(panelsOf(["target:x", "host:x"], ["sessions"])[0]!.metrics, ["sessions", "connections"]);
	assert.deepEqual(panelsOf(["session:x"], ["cpu", "iops"]).map((panel) => panel.name), ["iops"]);
	assert.equal(new Set(PANELS.map((panel) => panel.name)).size, PANELS.length);
});

test("lines of a panel differ in dash where they share a colour", () => {
	const styles = Array.from({ length: 16 }, (_, object) => lineStyle(object, 16, 0));
	const seen = new Set(styles.map((style) => `${style.colour} ${style.dash}`));
	assert.equal(seen.size, 16);
});

test("facts of workers are read from the metrics", () => {
	const facts = parseWorkerFacts("# TYPE x\nlunette_worker_up{worker=\"1\"} 1\nlunette_worker_starts_total{worker=\"1\"} 3\n" +
		"lunette_worker_reads_total{worker=\"1\"} 9\n");
	assert.deepEqual([...facts], [["1", { up: true, starts: 3, startedAt: null }]]);
});
