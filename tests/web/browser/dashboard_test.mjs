// The dashboard as an administrator uses it: log in, create, assign, watch, remove; what goes wrong is told.
import assert from "node:assert/strict";
import { TARGET, login, shot, until } from "./harness.mjs";

const GIB = 1024 ** 3;
const field = (page, label) => page.getByRole("dialog").getByLabel(label, { exact: true });
const submit = (page) => page.getByRole("dialog").getByTestId("submit").click();
const closed = (page) => page.getByRole("dialog").waitFor({ state: "detached" });

test("a wrong token is refused as the service says it, the right one leads to the page that was asked for", async ({ daemon, open }) => {
	const page = await open();
	await page.goto("/#/targets");
	await page.getByLabel("Token").fill("lnt_wrong");
	await page.getByTestId("login").click();
	await page.getByTestId("problem").waitFor();
	await shot(page, "login-refused");
	await page.getByLabel("Token").fill(daemon.token);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Targets" }).waitFor();
	const cookies = await page.context().cookies();
	assert.equal(cookies.length, 1);
	assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict", JSON.stringify(cookies[0]));
	await page.reload();
	await page.getByRole("heading", { level: 1, name: "Targets" }).waitFor();
	await page.getByTestId("logout").click();
	await page.getByTestId("login").waitFor();
	assert.equal((await page.context().cookies()).length, 0);
});

test("a LUN and a target are made through the page and serve I/O", async ({ daemon, open }) => {
	const page = await open();
	await login(page, daemon, "#/luns");
	await page.getByTestId("create").first().click();
	await field(page, "Name").fill("made");
	await field(page, "Size").fill("1");
	await shot(page, "create-lun");
	await submit(page);
	await page.getByRole("heading", { level: 1, name: "made" }).waitFor();
	await page.goto("/#/targets?create=1");
	await field(page, "Name").fill("made");
	await page.getByRole("dialog").getByLabel("LUNs to show").selectOption("made");
	await page.getByRole("dialog").getByText("This machine only").click();
	await shot(page, "create-target");
	const target = await page.getByTestId("iqn").textContent();
	await submit(page);
	await page.getByRole("heading", { level: 1, name: target }).waitFor();
	await page.getByText("iscsiadm").first().waitFor();
	await shot(page, "target", { fullPage: true });
	const result = await daemon.load(0, { target, seconds: 1 });
	assert.ok(result.iops > 0, JSON.stringify(result));
	assert.equal((await daemon.api("GET", "luns/made")).size_bytes, GIB);
});

test("a LUN grows, and is removed only when its name was typed", async ({ daemon, open }) => {
	await daemon.api("PUT", "luns/short", { size_bytes: GIB });
	const page = await open();
	await login(page, daemon, "#/luns");
	await page.getByRole("button", { name: "Grow short" }).click();
	await field(page, "New size").fill("2");
	await submit(page);
	await closed(page);
	assert.equal((await daemon.api("GET", "luns/short")).size_bytes, 2 * GIB);
	await page.getByRole("button", { name: "Remove short" }).click();
	const remove = page.getByRole("dialog").getByTestId("submit");
	const type = page.getByRole("dialog").getByLabel(/Type the name/);
	await type.fill("shor");
	await shot(page, "remove-lun");
	assert.ok(await remove.evaluate((button) => button.disabled || button.getAttribute("aria-disabled") === "true"));
	await type.fill("short");
	await remove.click();
	await closed(page);
	await assert.rejects(daemon.api("GET", "luns/short"), /404/);
});

test("a LUN is assigned to a target and unassigned again", async ({ daemon, open }) => {
	await daemon.lun("loose", GIB, 7);
	await daemon.api("DELETE", `targets/${TARGET}/luns/7`, undefined, { "If-Match": "*" });
	const page = await open();
	await login(page, daemon, "#/luns");
	await page.getByRole("button", { name: "Assign loose to a target" }).click();
	await field(page, "Target").selectOption(TARGET);
	await field(page, "LUN number").fill("9");
	await submit(page);
	await closed(page);
	assert.equal((await daemon.api("GET", `targets/${TARGET}/luns/9`)).lun, "loose");
	await page.goto("/#/luns/loose");
	await page.getByRole("button", { name: /unassign/i }).first().click();
	await submit(page);
	await closed(page);
	await assert.rejects(daemon.api("GET", `targets/${TARGET}/luns/9`), /404/);
});

test("a target is edited, and the change of another in between is told", async ({ daemon, open }) => {
	await daemon.lun("edited", GIB, 30);
	const page = await open();
	await login(page, daemon, `#/targets/${TARGET}`);
	await page.getByTestId("edit").click();
	const { revision } = await daemon.api("GET", `targets/${TARGET}`);
	await daemon.api("PATCH", `targets/${TARGET}`, { description: "by another" }, { "If-Match": `"${revision}"` });
	await page.getByRole("dialog").getByLabel("Alias").fill("renamed");
	await submit(page);
	await page.getByRole("dialog").getByTestId("problem").waitFor();
	await submit(page);
	await closed(page);
	const target = await daemon.api("GET", `targets/${TARGET}`);
	assert.equal(target.alias, "renamed");
	assert.equal(target.description, "by another");
});

test("the access state of a path is shown when it is not the usual one", async ({ daemon, open }) => {
	await daemon.lun("pathed", GIB, 31);
	const page = await open();
	await login(page, daemon, `#/targets/${TARGET}`);
	await page.getByText("About", { exact: true }).waitFor();
	assert.equal(await page.getByText("standby").count(), 0);
	await daemon.api("PATCH", `targets/${TARGET}`, { port_groups: { 1: { state: "standby" } } }, { "If-Match": "*" });
	await page.getByText("standby").waitFor();
	await shot(page, "target-standby");
	await daemon.api("PATCH", `targets/${TARGET}`, { port_groups: { 1: null } }, { "If-Match": "*" });
	await page.getByText("standby").waitFor({ state: "detached" });
});

test("what the service refuses is shown in its own words", async ({ daemon, open }) => {
	await daemon.api("PUT", "luns/taken", { size_bytes: GIB });
	const page = await open();
	await login(page, daemon, "#/luns?create=1");
	await field(page, "Name").fill("taken");
	await submit(page);
	await page.getByRole("dialog").getByText("exists already").first().waitFor();
	await field(page, "Name").fill("not a name!");
	await submit(page);
	await page.getByRole("dialog").getByTestId("problem").or(page.getByRole("dialog").getByTestId("field-error")).first().waitFor();
	await shot(page, "create-lun-refused");
});

test("a token that may only look sees everything and changes nothing", async ({ daemon, open }) => {
	const { token } = await daemon.api("PUT", "tokens/looker", { role: "viewer" });
	const page = await open();
	await login(page, { ...daemon, token }, "#/luns");
	const create = page.getByTestId("create").first();
	await create.waitFor();
	assert.ok(await create.evaluate((button) => button.disabled || button.getAttribute("aria-disabled") === "true"));
	await page.getByTestId("no-right").first().waitFor();
	await page.goto("/#/audit");
	await page.getByTestId("no-right").waitFor();
	await daemon.api("DELETE", "tokens/looker", undefined, { "If-Match": "*" });
	await page.goto("/#/sessions");
	await page.getByTestId("login").waitFor(); // the token is gone, and its cookie with it
});

test("real I/O moves the numbers of the overview, the sessions and the charts", async ({ daemon, open }) => {
	await daemon.lun("busy", GIB, 20);
	const page = await open();
	await login(page, daemon);
	const load = daemon.load(20, { seconds: 14 });
	await page.getByRole("link", { name: "busy" }).first().waitFor();
	await shot(page, "overview-busy", { fullPage: true });
	await page.goto("/#/sessions");
	await page.getByText(TARGET).first().waitFor();
	await shot(page, "sessions");
	await page.goto("/#/luns/busy");
	await page.locator("canvas").first().waitFor();
	await load;
	const { items } = await daemon.api("GET", "top?kind=lun&sort=iops&limit=5");
	assert.ok(items.some((item) => item.name === "busy"));
	const series = await daemon.api("GET", "series?object=lun:busy&metric=write_iops&from=-2m");
	assert.ok(series.series[0].values.some((value) => value > 0));
	await until(async () => /write/i.test(await page.locator("main").textContent()), "the LUN's charts name writes");
	await shot(page, "lun-busy", { fullPage: true });
});

test("a session is logged out after a question", async ({ daemon, open }) => {
	await daemon.lun("kicked", GIB, 21);
	const page = await open();
	await login(page, daemon, "#/sessions");
	const load = daemon.load(21, { seconds: 30 }).catch((error) => error);
	await page.getByRole("button", { name: /log out/i }).nth(1).click();
	await submit(page);
	await closed(page);
	const end = await load; // the initiator has lost its connection, or has logged in again
	assert.ok(end);
});

test("events come by themselves, and the audit log says who did what", async ({ daemon, open }) => {
	const page = await open();
	await login(page, daemon, "#/events");
	await daemon.lun("eventful", GIB, 22);
	await daemon.load(22, { seconds: 1 });
	await page.getByText(TARGET).first().waitFor();
	await shot(page, "events");
	await page.goto("/#/audit");
	await page.getByText("eventful").first().waitFor();
	await shot(page, "audit");
});
