// Charts: live, ranges, state in the URL, and the group chart with its break.
import assert from "node:assert/strict";
import { login, shot, until } from "./harness.mjs";

const GIB = 1024 ** 3;

async function smallAndHuge(daemon) {
	await daemon.lun("huge", 40 * 1024 * GIB, 100, "memory");
	for (let i = 0; i < 5; i++) await daemon.lun(`small${i}`, 20 * GIB, 101 + i, "memory");
}

test("a chart moves with real I/O, pauses, and its link shows the same picture", async ({ daemon, open }) => {
	await daemon.lun("charted", GIB, 110);
	const load = daemon.load(110, { seconds: 12 });
	const page = await open();
	await login(page, daemon, "#/charts?object=lun:charted&range=5m&live=true");
	await page.locator("canvas").first().waitFor();
	const pixels = () => page.locator("canvas").first().evaluate((canvas) => canvas.toDataURL());
	const before = await pixels();
	await until(async () => (await pixels()) !== before, "the chart moves");
	await shot(page, "charts-live", { fullPage: true });
	await page.getByRole("button", { name: /pause/i }).first().click();
	await page.getByRole("button", { name: /resume|live/i }).first().waitFor();
	await load;
	const link = page.url();
	const other = await open({ theme: "dark" });
	await login(other, daemon, link.slice(link.indexOf("#")));
	await other.locator("canvas").first().waitFor();
	await shot(other, "charts-dark", { fullPage: true });
	assert.equal(other.url().slice(other.url().indexOf("#")), link.slice(link.indexOf("#")));
});

test("the group chart shows the break, its factor and true values; one click gives full scale", async ({ daemon, open }) => {
	await smallAndHuge(daemon);
	const chart = await until(async () => {
		const answer = await daemon.api("GET", "charts/group?group=luns&data=capacity", undefined, { Accept: "application/json" });
		return answer.components.some((one) => one.label === "huge" && one.second !== null) && answer;
	}, "the huge LUN in the group chart");
	assert.ok(chart.breaks >= 1, JSON.stringify(chart.segments));
	const label = chart.components.find((one) => one.label === "huge").graphics.find((graphic) => graphic.kind === "third").label;
	const page = await open();
	await login(page, daemon, "#/charts?view=group");
	const factor = page.locator(".group-factor").first();
	await factor.waitFor();
	const shown = await page.locator(".group-factor").allTextContents();
	assert.ok(shown.some((text) => text.includes(label)), `${shown} has not ${label}`);
	await page.getByText("40 TiB").first().waitFor();
	await shot(page, "group-chart", { fullPage: true });
	await page.getByRole("button", { name: /full scale/i }).first().click();
	await factor.waitFor({ state: "detached" });
	await shot(page, "group-chart-full-scale", { fullPage: true });
});

test("the pictures for a ticket are those of the service", async ({ daemon, open }) => {
	const page = await open();
	await login(page, daemon);
	for (const file of ["throughput.svg", "group.png?theme=dark", "cpu.png"]) {
		const answer = await page.request.get(`/api/v1/charts/${file}`);
		assert.equal(answer.status(), 200, `${file}: ${await answer.text()}`);
	}
});
