// Makes the pictures of docs/images with the product itself: a daemon, LUNs of very different sizes, real I/O for some minutes.
// usage: node tests/web/browser/pictures.mjs      (after make all tools web)
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Browser, Daemon, TARGET, login, root, until } from "./harness.mjs";

const images = path.join(root, "docs/images"), MIB = 1024 ** 2, SECONDS = 150;
const daemon = new Daemon(), browser = new Browser();

async function save(name, resource) {
	writeFileSync(path.join(images, name), await daemon.api("GET", resource));
	console.log(name);
}

async function photograph(name, hash, options = {}) {
	const page = await browser.page(daemon, { width: 1280, height: 860, ...options });
	await login(page, daemon, hash);
	await page.locator("canvas, .group-factor, [data-testid=health]").first().waitFor();
	await page.waitForLoadState("networkidle").catch(() => {}); // live streams never end
	await until(async () => !(await page.locator("[data-testid=loading]").count()), "the page is complete");
	await new Promise((resolve) => setTimeout(resolve, 3000)); // a few live samples
	await page.screenshot({ path: path.join(images, name) });
	await page.context().close();
	console.log(name);
}

async function makeLuns() {
	await daemon.lun("archive", 4 * MIB * MIB, 0);
	for (let i = 1; i <= 10; i++) await daemon.lun(`vm${i}`, 512 * MIB, i);
	for (const i of [3, 7, 9]) { // a session has an initiator and a target: loads at the same time need a target each
		await daemon.api("PUT", `targets/${TARGET}${i}`, {});
		await daemon.api("PUT", `targets/${TARGET}${i}/luns/0`, { lun: `vm${i}` });
	}
	await daemon.load(0, { bytes: 262144, depth: 8, seconds: 6 });
	for (let i = 1; i <= 10; i++) await daemon.load(i, { bytes: 65536, depth: 2, seconds: 0.1 + 0.08 * i });
}

// Two LUNs all the time, a third now and then.
async function work() {
	const end = Date.now() + SECONDS * 1000;
	const repeat = async (next) => { while (Date.now() < end) await next(); };
	await Promise.all([
		repeat(() => daemon.load(0, { target: `${TARGET}3`, op: "read", depth: 4, seconds: 10 })),
		repeat(() => daemon.load(0, { target: `${TARGET}7`, op: "write", depth: 2, seconds: 10 })),
		repeat(async () => {
			await daemon.load(0, { target: `${TARGET}9`, op: "write", bytes: 262144, depth: 16, seconds: 6 });
			await new Promise((resolve) => setTimeout(resolve, 15000));
		}),
	]);
}

mkdirSync(images, { recursive: true });
try {
	await daemon.start();
	await browser.start();
	await makeLuns();
	const busy = work();
	await until(async () => {
		const { components } = await daemon.api("GET", "charts/group?data=capacity", undefined, { Accept: "application/json" });
		return components.length === 11 && components.every((one) => one.first > 0);
	}, "the used capacity of every LUN", 120000);
	await save("group.svg", "charts/group.svg?group=luns&data=capacity&width=900&height=380");
	await save("group-full-scale.svg", "charts/group.svg?group=luns&data=capacity&width=900&height=380&reduction=off");
	await new Promise((resolve) => setTimeout(resolve, (SECONDS - 40) * 1000));
	await photograph("dashboard.png", "#/");
	await photograph("charts.png", "#/charts?object=lun:vm3,lun:vm7,lun:vm9&range=5m", { theme: "dark" });
	await photograph("group-chart.png", "#/charts?view=group");
	await busy;
	await save("latency.svg", "charts/latency.svg?object=lun:vm7&from=-3m&width=900&height=320");
	await save("heatmap.svg", "charts/heatmap.svg?object=lun:vm9&from=-3m&width=900&height=300");
	await save("throughput.svg", "charts/throughput.svg?from=-3m&width=900&height=300");
} finally {
	await browser.close().catch(() => {});
	await daemon.close();
}
