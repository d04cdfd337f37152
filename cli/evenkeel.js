#!/usr/bin/env node
// The command `evenkeel`. A package holds the built program; a clone holds its source and runs that, never a stale build.
import { existsSync, readFileSync } from "node:fs";
import { nodeTooOld } from "./requireNode.js";

const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const problem = nodeTooOld(process.versions.node, engines.node);
if (problem !== undefined) {
  console.error(problem);
  process.exitCode = 1;
} else if (existsSync(new URL("./main.ts", import.meta.url))) {
  const { register } = await import("tsx/esm/api");
  register();
  await import("./main.ts");
} else {
  await import("../dist/cli/main.js");
}
