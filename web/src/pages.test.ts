/// <reference types="node" />
/* The pure parts of the pages: commands to copy, sizes, secrets, sorting, links of events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { iqnPrefix, iqnValid, makeSecret } from "./chap";
import { type Facts, reachable, splitPortal, stepsFor } from "./commands";
import { isAbout, objectPage } from "./events";
import { latencyText, sizeBytes, sizeParts, sizeProblem } from "./format";
import { sortRows } from "./ui/table";

const FACTS: Facts = {
	target: "iqn.2026-11.io.lunette:db",
	portals: ["10.0.0.1:3260", "[fd00::1]:3260"],
	user: "db",
	secret: "it's $HOME",
	mutualUser: "lunette",
	mutualSecret: "",
	discoveryUser: "",
};
const text = (facts: Facts, system: "linux" | "windows" | "esxi") =>
	stepsFor(system, facts)
		.map((step) => step.command)
		.join("\n");

test("a secret is quoted for the shell that reads it", () => {
	assert.match(text(FACTS, "linux"), /node\.session\.auth\.password -v 'it'\\''s \$HOME'/);
	assert.match(text(FACTS, "windows"), /-ChapSecret 'it''s \$HOME'/);
	assert.match(text(FACTS, "esxi"), /--secret='it'\\''s \$HOME'/);
});

test("a secret that is not known any more is a placeholder that stands out", () => {
	assert.match(text(FACTS, "linux"), /password_in -v THE-MUTUAL-SECRET/);
	assert.match(text({ ...FACTS, secret: "" }, "windows"), /-ChapSecret 'THE-CHAP-SECRET'/);
});

test("without CHAP no command speaks of it", () => {
	for (const system of ["linux", "windows", "esxi"] as const)
		assert.doesNotMatch(text({ ...FACTS, user: "", mutualUser: "" }, system), /chap|auth/i);
});

test("mutual CHAP and the login are there for every system, every portal is found", () => {
	assert.match(text(FACTS, "windows"), /MUTUALCHAP/);
	assert.match(text(FACTS, "esxi"), /--direction=mutual/);
	for (const system of ["linux", "esxi"] as const) assert.match(text(FACTS, system), /\[fd00::1\]:3260/);
	assert.match(text(FACTS, "windows"), /-TargetPortalAddress 'fd00::1' -TargetPortalPortNumber 3260/);
	assert.match(text(FACTS, "linux"), /--login/);
});

test("a portal that listens everywhere is reached at the address of the page", () => {
	assert.deepEqual(reachable(["0.0.0.0:3260", "[::]:3261", "10.1.1.1:3260"], "storage.example"), [
		"storage.example:3260",
		"storage.example:3261",
		"10.1.1.1:3260",
	]);
	assert.deepEqual(reachable(["0.0.0.0:3260"], "[fd00::5]"), ["[fd00::5]:3260"]);
	assert.deepEqual(splitPortal("[fd00::1]:3260"), { host: "fd00::1", port: "3260" });
});

test("secrets are long enough for every initiator, short enough for Windows, and differ", () => {
	const secrets = new Set(Array.from({ length: 50 }, () => makeSecret()));
	assert.equal(secrets.size, 50);
	for (const secret of secrets) assert.match(secret, /^[A-Za-z2-9]{16}$/);
});

test("the proposed name goes on as the targets that are there", () => {
	assert.equal(iqnPrefix(["iqn.2001-04.com.example:a", "iqn.2001-04.com.example:b"]), "iqn.2001-04.com.example:");
	assert.equal(iqnPrefix(["iqn.2001-04.com.example:a", "iqn.2002-04.org.other:b"]), "iqn.2026-11.io.lunette:");
	assert.ok(iqnValid("iqn.2026-11.io.lunette:db") && iqnValid("eui.02004567a425678d"));
	assert.ok(!iqnValid("iqn.2026-11.io.lunette:DB") && !iqnValid("db"));
});

test("sizes are exact, and what is none is refused with words", () => {
	assert.equal(sizeBytes("1.5", "GiB"), 1.5 * 2 ** 30);
	assert.equal(sizeBytes("1,5", "TiB"), 1.5 * 2 ** 40);
	for (const bad of ["", "0", "-1", "1e3", "ten", "1.2.3"]) assert.equal(sizeBytes(bad, "GiB"), null, bad);
	assert.match(sizeProblem("90000", "TiB")!, /larger/);
	assert.match(sizeProblem("ten", "GiB")!, /number/);
	assert.equal(sizeProblem("10", "GiB"), undefined);
	assert.deepEqual(sizeParts(20 * 2 ** 30), ["20", "GiB"]);
	assert.deepEqual(sizeParts(1.5 * 2 ** 40), ["1.5", "TiB"]);
	assert.equal(sizeBytes(...sizeParts(123 * 2 ** 20)), 123 * 2 ** 20);
});

test("the latency of what nobody uses is no number", () => {
	const idle = { read_latency_p99: null, write_latency_p99: null, read_iops: 0, write_iops: 0 };
	assert.equal(latencyText(idle), "idle");
	assert.equal(latencyText({ ...idle, read_iops: null, write_iops: null }), "unknown");
	assert.equal(latencyText({ ...idle, read_latency_p99: 0.001, write_latency_p99: 0.002 }), "2 ms");
});

test("unknown values are last in either direction", () => {
	const column = { key: "n", title: "n", cell: String, sort: (row: number | null) => row };
	assert.deepEqual(sortRows([null, 2, 10, 1], column, false), [1, 2, 10, null]);
	assert.deepEqual(sortRows([null, 2, 10, 1], column, true), [10, 2, 1, null]);
});

test("events lead to the page of what they are about", () => {
	const event = (object: string) => ({ id: 1, kind: "config", object, text: "" });
	assert.equal(objectPage("lun:vol1"), "#/luns/vol1");
	assert.equal(objectPage("target-lun:iqn.2026-11.io.lunette:db:0"), "#/targets/iqn.2026-11.io.lunette:db");
	assert.equal(
		objectPage("target-initiator:iqn.2026-11.io.lunette:db:iqn.1994-05.com.example:h1"),
		"#/targets/iqn.2026-11.io.lunette:db",
	);
	assert.equal(objectPage("disk"), null);
	assert.ok(isAbout(event("target-lun:iqn.2026-11.io.lunette:db:0"), "target:iqn.2026-11.io.lunette:db"));
	assert.ok(!isAbout(event("target-lun:iqn.2026-11.io.lunette:db2:0"), "target:iqn.2026-11.io.lunette:db"));
});
