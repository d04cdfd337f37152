import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeInWords, nodeTooOld } from "../../cli/requireNode.js";

const fileText = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("a Node that is older than the package says is told so, and none other", () => {
  const range = "^20.19.0 || >=22.12.0";
  for (const version of ["18.20.8", "20.10.0", "20.18.99", "21.7.3", "22.0.0", "22.11.9", "0.12.18"]) {
    const said = "20.19 or a later 20, or 22.12 or later";
    assert.equal(nodeTooOld(version, range), `evenkeel: needs Node ${said}; this is Node ${version}.`);
  }
  for (const version of [
    "20.19.0",
    "20.20.2",
    "22.12.0",
    "22.13.0",
    "23.0.0",
    "24.1.0",
    "101.0.0",
    "22.12.0-nightly2024",
  ]) {
    assert.equal(nodeTooOld(version, range), undefined, version);
  }
});

test("the package, its lock and the README name the same Node", () => {
  const { engines } = JSON.parse(fileText("package.json")) as { readonly engines: { readonly node: string } };
  const lock = JSON.parse(fileText("package-lock.json")) as { readonly packages: Readonly<Record<string, unknown>> };
  assert.deepEqual(Reflect.get(lock.packages[""] as object, "engines"), engines);
  assert.ok(fileText("README.md").includes(`Node ${nodeInWords(engines.node)}.`));
});

test("no package that is needed asks for a newer Node than this one", () => {
  const { engines } = JSON.parse(fileText("package.json")) as { readonly engines: { readonly node: string } };
  type Locked = {
    readonly dev?: boolean;
    readonly devOptional?: boolean;
    readonly engines?: { readonly node?: string };
  };
  const { packages } = JSON.parse(fileText("package-lock.json")) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const oldest = engines.node.match(/\d+\.\d+\.\d+/g) ?? [];
  assert.ok(oldest.length > 0);
  for (const [path, { dev, devOptional, engines: wanted }] of Object.entries(packages)) {
    // Ranges as of one lowest version, which are all that there are; sharp's builds for other machines list several.
    if ((dev ?? devOptional ?? false) || !/^>= ?[\d.]+$/.test(wanted?.node ?? "")) continue;
    const full = `${wanted?.node ?? ""}.0.0`;
    for (const version of oldest) assert.equal(nodeTooOld(version, full), undefined, `${path} on ${version}`);
  }
});
