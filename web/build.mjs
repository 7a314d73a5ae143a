/*
 * Builds the dashboard into the directory that is named (../build/web): one script and one style sheet with the hash of
 * their content in the name, index.html, favicon.svg, and a .gz beside each. Refuses to grow beyond the budget.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const BUDGET_BYTES = 120 * 1024;
const here = fileURLToPath(new URL(".", import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../build/web"));

const bundle = await build({
	entryPoints: [join(here, "src/app.tsx")],
	bundle: true,
	minify: true,
	format: "esm",
	target: ["es2022"],
	jsx: "automatic",
	jsxImportSource: "preact",
	legalComments: "none",
	entryNames: "[name]-[hash]",
	outdir: out,
	write: false,
	logLevel: "warning",
});

const files = new Map(bundle.outputFiles.map((file) => [file.path.slice(out.length + 1), Buffer.from(file.contents)]));
const named = (ending) => [...files.keys()].find((name) => name.endsWith(ending));
const index = readFileSync(join(here, "src/index.html"), "utf8")
	.replace("app.css", named(".css")).replace("app.js", named(".js"));
files.set("index.html", Buffer.from(index));
files.set("favicon.svg", readFileSync(join(here, "src/favicon.svg")));

/* Whole or not at all: a daemon may be reading it. */
const fresh = `${out}.new`, old = `${out}.old`;
rmSync(fresh, { recursive: true, force: true });
rmSync(old, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
let sum = 0;
for (const [name, content] of files) {
	const packed = gzipSync(content, { level: 9 });
	sum += packed.length;
	writeFileSync(join(fresh, name), content);
	writeFileSync(join(fresh, `${name}.gz`), packed);
}
if (sum > BUDGET_BYTES) {
	console.error(`web: ${sum} bytes compressed; the budget is ${BUDGET_BYTES}`);
	process.exit(1);
}
try {
	renameSync(out, old);
} catch (error) {
	if (error.code !== "ENOENT")
		throw error;
}
renameSync(fresh, out);
rmSync(old, { recursive: true, force: true });
console.log(`  WEB      ${out} (${(sum / 1024).toFixed(1)} KiB compressed)`);
