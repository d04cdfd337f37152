/**
 * `npm run suite:onnx`: the tests that ONNX gives to its backends, through the project's own reader, on every device. Prints counts, and
 * each test that isn't passed with its reason. Ends with 1 if a result is wrong, or if fewer pass than `floors.json` says, which may only rise.
 * `-- --devices oracle,wasm,cpu` (`webgpu` too), `--only REGEXP`, `--verbose`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createDevice, deviceNames, disposeDevices } from "../../../engine/index.ts";
import { faults } from "./faults.ts";
import { type Outcome, type PreparedCase, prepareCase } from "./runCase.ts";
import { categories, findCases, findTestData } from "./testData.ts";

const { values } = parseArgs({
  options: {
    devices: { type: "string", default: "oracle,wasm,cpu" },
    only: { type: "string", default: "" },
    verbose: { type: "boolean", default: false },
  },
});
const devices = values.devices.split(",").map((name) => {
  const known = deviceNames.find((each) => each === name);
  if (known === undefined) throw new Error(`--devices ${name}: one of ${deviceNames.join(", ")}`);
  return known;
});

if (devices.includes("webgpu")) await import("../../support/softwareVulkan.ts");
const cases = findCases(findTestData(), new RegExp(values.only)).map(prepareCase);
const outcomes = new Map<string, Map<PreparedCase, Outcome>>();
for (const name of devices) {
  const cpu = process.cpuUsage();
  const device = await createDevice(name);
  const own = new Map<PreparedCase, Outcome>();
  for (const prepared of cases) {
    const start = performance.now();
    own.set(prepared, await prepared.run(device));
    const taken = performance.now() - start;
    if (values.verbose && taken > 200) console.log(`${name} ${prepared.test.name}: ${Math.round(taken)} ms`);
  }
  device.dispose();
  outcomes.set(name, own);
  const { user, system } = process.cpuUsage(cpu);
  console.log(`${name}: ${((user + system) / 1e6).toFixed(1)} s of CPU`);
}
await disposeDevices();

const counts = (own: ReadonlyMap<PreparedCase, Outcome>, category: string) => {
  const all = [...own].filter(([{ test }]) => test.category === category);
  const passed = all.filter(([, { kind }]) => kind === "passed").map(([prepared]) => prepared);
  const plain = passed.filter(({ roundabouts }) => roundabouts.size === 0);
  return {
    all: all.length,
    passed: passed.length,
    roundabout: passed.length - plain.length,
    known: passed.filter(({ hasKnownInputs }) => hasKnownInputs).length,
  };
};

const floors = JSON.parse(readFileSync(join(import.meta.dirname, "floors.json"), "utf8")) as Readonly<
  Record<string, number>
>;
const failures: string[] = [];
console.log(
  "\n| device | tests | passed | by a roundabout way | with inputs known as numbers |\n|---|---|---|---|---|",
);
for (const [name, own] of outcomes) {
  for (const category of categories) {
    const { all, passed, roundabout, known } = counts(own, category);
    if (all === 0 && values.only !== "") continue;
    console.log(`| ${name} | ${all} of ${category} | ${passed} | ${roundabout} | ${known} |`);
    const floor = floors[category] ?? 0;
    if (values.only !== "") continue;
    if (passed < floor) failures.push(`${name}: ${passed} of ${category} pass, fewer than the ${floor} of floors.json`);
    if (passed > floor) console.log(`  ${category} passes ${passed}: floors.json may rise from ${floor}`);
  }
}

console.log("\nBy a roundabout way:");
for (const { test, roundabouts } of cases) {
  for (const what of roundabouts) console.log(`- ${test.category}/${test.name}: ${what}`);
}

console.log("\nNot passed:");
for (const prepared of cases) {
  const { category, name: test } = prepared.test;
  const missed = [...outcomes].flatMap(([name, own]) => {
    const outcome = own.get(prepared);
    return outcome === undefined || outcome.kind === "passed" ? [] : [{ name, ...outcome }];
  });
  const reasons = new Map<string, string[]>();
  for (const { name, kind, reason } of missed) {
    const known = faults[test];
    const fault = known !== undefined && known.devices.some((device) => device === name) ? known : undefined;
    const text =
      kind === "refused" ? reason : fault === undefined ? `WRONG: ${reason}` : `the test is at fault: ${fault.why}`;
    if (kind === "wrong" && fault === undefined) failures.push(`${name}: ${test} is wrong`);
    reasons.set(text, [...(reasons.get(text) ?? []), name]);
  }
  for (const [text, where] of reasons) {
    console.log(`- ${category}/${test}${where.length === devices.length ? "" : ` (${where.join(", ")})`}: ${text}`);
  }
}
if (values.only === "") {
  for (const [test, fault] of Object.entries(faults)) {
    const prepared = cases.find(({ test: { name } }) => name === test);
    if (prepared === undefined) failures.push(`faults.ts: there is no ${test}`);
    else {
      for (const [name, own] of outcomes) {
        const isTold = fault.devices.some((device) => device === name);
        if (isTold && own.get(prepared)?.kind === "passed") failures.push(`faults.ts: ${test} passes on ${name}`);
      }
    }
  }
}
for (const failure of failures) console.error(failure);
process.exitCode = failures.length === 0 ? 0 : 1;
