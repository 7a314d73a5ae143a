/* The way in: an API token. The page that was asked for is shown behind it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useAction } from "../api/use";
import { logIn } from "../session";
import { Button, TextField } from "../ui/controls";
import { ProblemNote } from "../ui/states";
import { placeNow, go } from "../router";

export function LoginPage() {
	const [token, setToken] = useState("");
	const [empty, setEmpty] = useState("");
	const action = useAction();
	const form = useRef<HTMLFormElement>(null);
	useEffect(() => {
		document.title = "Log in · Lunette";
		form.current!.querySelector("input")!.focus();
	}, []);

	const submit = async () => {
		const text = token.trim();
		setEmpty(text ? "" : "Paste a token first.");
		if (!text || action.busy || !(await action.run(() => logIn(text)))) return;
		if (placeNow().path === "/login") go("#/", true);
	};
	return (
		<main class="login">
			<div class="login-card">
				<h1>
					<img src="/assets/favicon.svg" alt="" width="36" height="36" /> Lunette
				</h1>
				<p>Log in with an API token.</p>
				<form
					ref={form}
					noValidate
					onSubmit={(event) => {
						event.preventDefault();
						void submit();
					}}
				>
					<TextField
						label="Token"
						type="password"
						value={token}
						onValue={setToken}
						mono
						autocomplete="current-password"
						error={empty || undefined}
						placeholder="lnt_…"
					/>
					{action.problem && <ProblemNote problem={action.problem.problem} />}
					<Button submit kind="primary" busy={action.busy} testid="login">
						{action.busy ? "Logging in …" : "Log in"}
					</Button>
				</form>
				<details>
					<summary>Where is the token?</summary>
					<p>
						The first one was written when the daemon started for the first time, into the file{" "}
						<code>admin.token</code> of its state directory. On the daemon’s machine:
					</p>
					<pre>sudo cat /var/lib/lunette/admin.token</pre>
					<p>
						The demo of <code>make run</code> keeps it in <code>build/demo/admin.token</code>. An
						administrator makes more, also ones that may only look.
					</p>
				</details>
			</div>
		</main>
	);
}
