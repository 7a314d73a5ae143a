// A daemon, a browser and real I/O for the tests of the dashboard. Everything is ended by close().
import { spawn, execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
export const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../../..");
export const screenshots = path.join(root, "build/web-screenshots");
export const TARGET = "iqn.2026-11.io.lunette:web";

// Waits for a condition: probe() is called again until it returns something true.
export async function until(probe, what, timeoutMs = 20000) {
	const deadline = Date.now() + timeoutMs;
	for (;;) {
		const value = await probe();
		if (value) return value;
		if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

export class Daemon {
	constructor() {
		this.dir = mkdtempSync(path.join(tmpdir(), "lunette-web-"));
		this.log = "";
	}

	async start() {
		const args = ["--state", path.join(this.dir, "state"), "--http", this.http ?? "127.0.0.1:0", "--portal", "127.0.0.1:0",
			"--reactors", "1", "--web", path.join(root, "build/web")];
		this.process = spawn(path.join(root, "build/lunetted"), args, { stdio: ["ignore", "pipe", "pipe"] });
		this.ended = new Promise((resolve) => this.process.on("exit", resolve));
		process.once("exit", () => this.process.kill("SIGTERM")); // however this process ends
		let output = "";
		this.process.stdout.on("data", (text) => (output += text));
		this.process.stderr.on("data", (text) => (this.log += text));
		const ready = await until(() => /^ready.*\n/m.exec(output), "the line that starts with ready");
		this.http = /http=(\S+)/.exec(ready[0])[1];
		this.portal = /portal=(\S+)/.exec(ready[0])[1];
		this.url = `http://${this.http}`;
		this.token = readFileSync(path.join(this.dir, "state/admin.token"), "utf8").trim();
	}

	async stop() {
		this.process.kill("SIGTERM");
		await this.ended;
	}

	async close() {
		await this.stop();
		rmSync(this.dir, { recursive: true, force: true });
	}

	// One REST call; throws on anything but success.
	async api(method, resource, body, headers = {}) {
		const answer = await fetch(`${this.url}/api/v1/${resource}`, {
			method,
			headers: { Authorization: `Bearer ${this.token}`, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
			body: body ? JSON.stringify(body) : undefined,
		});
		const text = await answer.text();
		if (!answer.ok) throw new Error(`${method} ${resource}: ${answer.status} ${text}`);
		return text && answer.headers.get("content-type").includes("json") ? JSON.parse(text) : text;
	}

	async lun(name, size_bytes, number, store = "default") {
		await this.api("PUT", `luns/${name}`, { size_bytes, store });
		await this.api("PUT", `targets/${TARGET}`, {}).catch(() => {});
		await this.api("PUT", `targets/${TARGET}/luns/${number}`, { lun: name });
	}

	// Real I/O on LUN `number` for some seconds; resolves to the JSON line of tests/bench/load.
	async load(number, { op = "write", seconds = 3, depth = 4, bytes = 4096, target = TARGET } = {}) {
		const { stdout } = await run(path.join(root, "build/release/tests/bench/load"), ["--address", this.portal, "--target", target,
			"--lun", String(number), "--op", op, "--bytes", String(bytes), "--depth", String(depth), "--seconds", String(seconds)]);
		return JSON.parse(stdout);
	}
}

export class Browser {
	async start() {
		mkdirSync(screenshots, { recursive: true });
		this.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
			args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	}

	// A fresh profile: nobody is logged in. What the page complains about is kept in page.complaints.
	async page(daemon, { width = 1280, height = 900, theme = "light" } = {}) {
		const context = await this.browser.newContext({ baseURL: daemon.url, viewport: { width, height }, colorScheme: theme,
			reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
		const page = await context.newPage();
		page.setDefaultTimeout(15000);
		page.complaints = [];
		page.on("pageerror", (error) => page.complaints.push(`exception: ${error}`));
		page.on("console", (message) => {
			if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) page.complaints.push(message.text());
		});
		page.on("request", (request) => {
			if (!request.url().startsWith(daemon.url) && !/^(data|blob):/.test(request.url()))
				page.complaints.push(`request to the outside: ${request.url()}`);
		});
		return page;
	}

	async close() {
		await this.browser.close();
	}
}

export async function login(page, daemon, hash = "") {
	await page.goto(`/${hash}`);
	await page.getByLabel(/token/i).first().fill(daemon.token);
	await page.getByRole("button", { name: /log in|sign in/i }).click();
	await page.getByRole("navigation").first().waitFor();
}

export function shot(page, name, options = {}) {
	return page.screenshot({ path: path.join(screenshots, `${name}.png`), ...options });
}
