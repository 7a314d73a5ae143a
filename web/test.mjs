/* Runs src/**\/*.test.ts: the pure parts of the dashboard, bundled one by one, on node's own test runner. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const out = mkdtempSync(join(tmpdir(), "lunette-web-test-"));
const tests = readdirSync(join(here, "src"), { recursive: true }).filter((name) => name.endsWith(".test.ts"));

await build({
	entryPoints: tests.map((name) => join(here, "src", name)),
	bundle: true,
	platform: "node",
	format: "esm",
	outdir: out,
	outbase: join(here, "src"),
	outExtension: { ".js": ".mjs" },
	logLevel: "warning",
});
const built = tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
const { status } = spawnSync(process.execPath, ["--test", ...built], { stdio: "inherit" });
rmSync(out, { recursive: true });
process.exit(status ?? 1);
