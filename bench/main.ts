/** `npm run bench`: every device and peer on the same work in one run. `-- --json` for the numbers. */
import { createRequire } from "node:module";
import os from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import benny from "benny";
// Software Vulkan, so that `webgpu` is measured without a GPU too: for the correctness of the path, not for its speed.
import "../test/support/softwareVulkan.ts";
import type { Availability, Contender, PreparedWork } from "./contender.ts";
import { evenkeelContender } from "./evenkeel.ts";
import { jaxJsContender } from "./peers/jaxJs.ts";
import { tfjsContender } from "./peers/tfjs.ts";
import { type Measurement, measurementTable, type Row } from "./table.ts";
import { dataFor, nameOf, type Work, works } from "./work.ts";

const json = process.argv.includes("--json");
const say = (text: string): void => void (json ? process.stderr : process.stdout).write(`${text}\n`);
const folder = fileURLToPath(new URL(".", import.meta.url));

// Peers are installed beside this file, not with the package.
const requireHere = createRequire(import.meta.url);
const load = (name: string): Promise<unknown> => import(pathToFileURL(requireHere.resolve(name)).href);

async function measure(work: Work, contenders: readonly Contender[]): Promise<Row> {
  const data = dataFor(work);
  const prepared: { readonly contender: Contender; readonly work: PreparedWork }[] = [];
  for (const contender of contenders) prepared.push({ contender, work: await contender.prepare(work, data) });
  const [reference, ...others] = await Promise.all(prepared.map(({ work: one }) => one.run()));
  others.forEach((result, i) =>
    requireSameResult(nameOf(work), prepared[i + 1]?.contender.name ?? "", reference, result, work),
  );
  const summary = await benny.suite(
    nameOf(work),
    ...prepared.map(({ contender, work: one }) =>
      // benny takes a function that prepares and gives the one to measure.
      benny.add(
        contender.name,
        () => async () => {
          await one.run();
        },
        { minSamples: 7, maxTime: 1 },
      ),
    ),
    benny.cycle(),
  );
  for (const { work: one } of prepared) one.dispose();
  const measurements = summary.results.map(
    ({ name, details, samples }): Measurement => ({
      contender: name,
      median: details.median,
      min: details.min,
      max: details.max,
      samples,
    }),
  );
  return { work, measurements };
}

/** Contenders must compute the same thing, or the comparison is void. tfjs keeps images in another order: sums are compared. */
function requireSameResult(name: string, who: string, a: Float32Array | undefined, b: Float32Array, work: Work): void {
  const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);
  const size = (values: Float32Array): number => values.reduce((total, value) => total + Math.abs(value), 0);
  if (a === undefined || a.length !== b.length || Math.abs(sum(a) - sum(b)) > 1e-5 * size(a) + 1e-3) {
    throw new Error(`${who} disagrees on ${name} (${work.kind})`);
  }
}

async function run(title: string, list: readonly Work[], found: readonly Availability[]): Promise<Row[]> {
  const contenders = found.flatMap((one) => ("contender" in one ? [one.contender] : []));
  say(`\n# ${title}`);
  for (const one of found) {
    say(
      "contender" in one
        ? `${one.contender.name}: ${one.contender.description}`
        : `${one.name}: not here (${one.missing})`,
    );
  }
  const rows: Row[] = [];
  for (const work of list) rows.push(await measure(work, contenders));
  for (const contender of contenders) contender.dispose();
  return rows;
}

const machine = `${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} cores, Node ${process.version}`;
say(machine);
const wasm = await evenkeelContender("wasm");
const fast = await run("CPU engines", works.fast, [
  wasm,
  await jaxJsContender(load),
  await tfjsContender(load, folder),
]);
const slow = await run("every device, small sizes", works.slow, [
  await evenkeelContender("wasm"),
  await evenkeelContender("cpu"),
  await evenkeelContender("webgpu"),
]);
if (json)
  process.stdout.write(
    `${JSON.stringify({ date: new Date().toISOString(), machine, rows: [...fast, ...slow] }, null, 2)}\n`,
  );
else {
  say(`\n${measurementTable(fast)}\n\n${measurementTable(slow)}`);
  say(
    "\nRatios are theirs / ours by median time: above 1 we are faster. Results are read back to the host by all alike.",
  );
}
process.exit(0);
