#!/usr/bin/env node
// The command `evenkeel`. A package holds the built program; a clone holds its source and runs that, never a stale build.
import { existsSync } from "node:fs";

if (existsSync(new URL("./main.ts", import.meta.url))) {
  const { register } = await import("tsx/esm/api");
  register();
  await import("./main.ts");
} else {
  await import("../dist/cli/main.js");
}
