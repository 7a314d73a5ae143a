// Redocly's rules over one OpenAPI document; one line for each problem. usage: node tests/web/redocly.mjs FILE
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({
	extends: ["recommended"],
	rules: {
		"info-license": "off",
		"no-server-example.com": "off",
		"no-invalid-media-type-examples": "error",
		"no-invalid-schema-examples": "error",
		"operation-4xx-response": "off",
		"no-unused-components": "off", // Event: see .spectral.yaml
	},
});
const problems = await lint({ ref: process.argv[2], config });
for (const { ruleId, severity, message, location } of problems)
	console.log(`${severity} ${ruleId}: ${message} at ${location?.[0]?.pointer ?? "?"}`);
process.exit(problems.some((p) => p.severity === "error") ? 1 : 0);
