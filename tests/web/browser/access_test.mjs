// For everybody: keyboard alone, axe, both themes, narrow windows, a small bundle that asks nobody else.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { TARGET, login, root, shot, until } from "./harness.mjs";

const PAGES = ["/", "/luns", "/luns/shown", "/targets", `/targets/${TARGET}`, "/sessions", "/charts", "/workers", "/events", "/audit"];
const axe = readFileSync(path.join(root, "tests/web/node_modules/axe-core/axe.min.js"), "utf8");
const fileName = (place) => place.replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "") || "overview";

async function settled(page) {
	await page.getByRole("heading", { level: 1 }).waitFor();
	await page.waitForFunction(() => !document.querySelector("[data-testid=loading]"));
}

async function findings(page) {
	await page.evaluate(axe); // by the debugger: the page's own policy allows no script from elsewhere
	const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
	return result.violations.filter((one) => ["serious", "critical"].includes(one.impact))
		.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

for (const theme of ["light", "dark"])
	test(`axe has nothing serious to say on any page, ${theme}`, async ({ daemon, open }) => {
		await daemon.lun("shown", 1024 ** 3, 200);
		const page = await open({ theme });
		await page.goto("/");
		await page.getByTestId("login").waitFor();
		const wrong = (await findings(page)).map((text) => `login: ${text}`);
		await shot(page, `login-${theme}`);
		await login(page, daemon);
		for (const place of PAGES) {
			await page.goto(`/#${place}`);
			await settled(page);
			await shot(page, `${fileName(place)}-${theme}`, { fullPage: true });
			wrong.push(...(await findings(page)).map((text) => `${place}: ${text}`));
		}
		assert.deepEqual(wrong, []);
	});

test("nothing is wider than a window of 360 px", async ({ daemon, open }) => {
	await daemon.lun("shown", 1024 ** 3, 200);
	const page = await open({ width: 360, height: 740 });
	await login(page, daemon);
	for (const place of PAGES) {
		await page.goto(`/#${place}`);
		await settled(page);
		const width = await page.evaluate(() => document.documentElement.scrollWidth);
		await shot(page, `${fileName(place)}-narrow`, { fullPage: true });
		assert.ok(width <= 360, `${place} is ${width} px wide`);
	}
});

test("a LUN is made with the keyboard alone", async ({ daemon, open }) => {
	const page = await open();
	await page.goto("/#/luns");
	await page.getByLabel("Token").waitFor();
	await page.keyboard.type(daemon.token); // the field has the focus
	await page.keyboard.press("Enter");
	await page.getByTestId("create").first().waitFor();
	const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-testid") ?? "");
	await until(async () => {
		await page.keyboard.press("Tab");
		return (await focused()) === "create";
	}, "Tab reaches the button Create");
	await page.keyboard.press("Enter");
	await page.getByRole("dialog").waitFor();
	await page.keyboard.type("typed");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Control+A");
	await page.keyboard.type("1");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "typed" }).waitFor();
	assert.equal((await daemon.api("GET", "luns/typed")).size_bytes, 1024 ** 3);
});

test("Escape leaves a dialog and the focus goes back", async ({ daemon, open }) => {
	const page = await open();
	await login(page, daemon, "#/luns");
	await page.getByRole("button", { name: "Grow shown" }).focus();
	await page.keyboard.press("Enter");
	await page.getByRole("dialog").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("dialog").waitFor({ state: "detached" });
	assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""), "Grow shown");
});

test("the bundle is below 120 KiB and the policy is strict; the first paint is measured", async ({ daemon, open }) => {
	const dir = path.join(root, "build/web");
	const bytes = readdirSync(dir).filter((name) => name.endsWith(".gz")).reduce((sum, name) => sum + statSync(path.join(dir, name)).size, 0);
	assert.ok(bytes > 0 && bytes < 120 * 1024, `${bytes} bytes`);
	const answer = await fetch(daemon.url);
	const policy = answer.headers.get("content-security-policy");
	assert.match(policy, /default-src 'none'/);
	assert.match(policy, /script-src 'self'(;|$)/);
	assert.doesNotMatch(policy, /unsafe|\*/);
	const page = await open();
	await page.goto("/");
	await page.getByTestId("login").waitFor();
	const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
	console.log(`     ${(bytes / 1024).toFixed(1)} KiB compressed, first paint after ${paint?.toFixed(0)} ms`);
	assert.ok(paint !== undefined);
});
