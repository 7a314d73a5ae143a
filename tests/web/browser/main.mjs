// Runs the tests of *_test.mjs one after the other on one daemon and one browser. usage: node main.mjs [WORD...]
import { readdirSync } from "node:fs";
import path from "node:path";
import { Browser, Daemon, shot } from "./harness.mjs";

const here = path.dirname(new URL(import.meta.url).pathname);
const words = process.argv.slice(2);
const tests = [];
globalThis.test = (name, run) => tests.push({ name, run });
for (const file of readdirSync(here).filter((name) => name.endsWith("_test.mjs")).sort())
	await import(path.join(here, file));

const daemon = new Daemon(), browser = new Browser();
let passed = 0, failed = 0;

// Load that nobody waits for any more, because its test has failed, may fail as well.
process.on("unhandledRejection", (error) => console.log(`     ${error}`));

async function runOne({ name, run }) {
	const pages = [];
	const open = async (options) => {
		const page = await browser.page(daemon, options);
		pages.push(page);
		return page;
	};
	const started = Date.now();
	try {
		await run({ daemon, open });
		const complaints = pages.flatMap((page) => page.complaints);
		if (complaints.length) throw new Error(`the browser complains:\n${complaints.join("\n")}`);
		passed++;
		console.log(`ok   ${name} (${Date.now() - started} ms)`);
	} catch (error) {
		failed++;
		console.log(`FAIL ${name}\n${error.stack}`);
		for (const page of pages) await shot(page, `failed-${failed}`).catch(() => {});
	}
	for (const page of pages) await page.context().close();
}

try {
	await daemon.start();
	await browser.start();
	for (const one of tests)
		if (!words.length || words.some((word) => one.name.includes(word))) await runOne(one);
} catch (error) {
	failed++;
	console.log(`FAIL the tests did not start\n${error.stack}\n${daemon.log}`);
} finally {
	await browser.close().catch(() => {});
	await daemon.close().catch(() => {});
}
if (failed) console.log(`--- log of the daemon\n${daemon.log.split("\n").slice(-40).join("\n")}`);
console.log(`web: ${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
