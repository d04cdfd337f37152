/**
 * The bench in a page: ours, jax-js and TensorFlow.js on the page's WebGPU, the same programs in turns, as a table to paste. With `#tiny`
 * at its address it measures next to nothing, to see that it runs.
 */
import { createDevice, messageOf } from "../../engine/index.ts";
import type { Availability, Contender } from "../contender.ts";
import { deviceContender } from "../evenkeel.ts";
import { type JaxModule, prepareOnJax } from "../peers/jaxWorks.ts";
import { prepareOnTfjs, type Tf } from "../peers/tfjsWorks.ts";
import { measureWork, type Row } from "../row.ts";
import { softwareWarning } from "../softwareWarning.ts";
import { measurementTable } from "../table.ts";
import { nameOf, type Work } from "../work.ts";

/** Gives a peer's package. @throws if it isn't installed */
export type Load = (name: string) => Promise<unknown>;

/** What is used of the page; the types of a browser's globals aren't those of this project. */
type PageElement = { textContent: string | null; disabled: boolean; onclick: (() => void) | null };
type PageGlobals = {
  readonly document: { getElementById(id: string): PageElement | null };
  readonly location: { readonly hash: string };
  readonly navigator: { readonly userAgent: string };
};

const works: readonly Work[] = [
  { kind: "matmul", size: 256 },
  { kind: "matmul", size: 1024 },
  { kind: "conv", batch: 16, channels: 64, resolution: 32, kernel: 3, gradients: false },
  { kind: "conv", batch: 16, channels: 64, resolution: 32, kernel: 3, gradients: true },
  { kind: "conv", batch: 16, channels: 128, resolution: 16, kernel: 3, gradients: true },
  { kind: "convNet", batch: 8, channels: 64, resolution: 16 },
];

const tinyWorks: readonly Work[] = [
  { kind: "matmul", size: 16 },
  { kind: "conv", batch: 1, channels: 4, resolution: 4, kernel: 3, gradients: true },
  { kind: "convNet", batch: 1, channels: 4, resolution: 4 },
];

async function jaxContender(load: Load): Promise<Availability> {
  const name = "jax-js webgpu";
  try {
    const jax = (await load("@jax-js/jax")) as JaxModule;
    const devices = await jax.init("webgpu");
    if (!devices.includes("webgpu")) throw new Error("it finds no WebGPU here");
    jax.defaultDevice("webgpu");
    return {
      contender: {
        name,
        description: "@jax-js/jax 0.1.25",
        prepare: (work, data) => prepareOnJax(jax, work, data, { waitsForEach: false }),
        dispose: () => undefined,
      },
    };
  } catch (reason) {
    return { name, missing: messageOf(reason) };
  }
}

async function tfjsContender(load: Load): Promise<Availability> {
  const name = "tfjs webgpu";
  try {
    const tf = (await load("@tensorflow/tfjs")) as Tf;
    await load("@tensorflow/tfjs-backend-webgpu");
    if (!(await tf.setBackend("webgpu"))) throw new Error("its webgpu backend did not start");
    await tf.ready();
    return {
      contender: {
        name,
        description: "@tensorflow/tfjs 4.22.0 with @tensorflow/tfjs-backend-webgpu 4.22.0",
        prepare: (work, data) =>
          prepareOnTfjs(tf, work, data, async (result) => {
            // One number is read, behind all that was asked for before.
            const one = tf.tidy(() => tf.slice(tf.reshape(result, [-1]), [0], [1]));
            await one.data();
            one.dispose();
          }),
        dispose: () => undefined,
      },
    };
  } catch (reason) {
    return { name, missing: messageOf(reason) };
  }
}

/** Measures all works and gives the text to paste. */
async function measure(load: Load, chosen: readonly Work[], say: (text: string) => void): Promise<string> {
  const device = await createDevice("webgpu");
  const { adapter } = device.traits;
  const isSoftware = adapter?.isSoftware ?? false;
  const warning = isSoftware ? [softwareWarning(adapter?.name ?? "this adapter")] : [];
  say([device.description, ...warning].join("\n"));
  const found: Availability[] = [
    { contender: deviceContender("evenkeel webgpu", device) },
    await jaxContender(load),
    await tfjsContender(load),
  ];
  const contenders = found.flatMap((one): Contender[] => ("contender" in one ? [one.contender] : []));
  const absent = found.flatMap((one) => ("contender" in one ? [] : [{ contender: one.name, reason: one.missing }]));
  const options = chosen === tinyWorks ? { repeats: 1, sampleSeconds: 0 } : {};
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const work of chosen) {
    say(`${nameOf(work)} ...`);
    try {
      const row = await measureWork("page", work, contenders, options);
      rows.push({ ...row, absent: [...row.absent, ...absent] });
    } catch (reason) {
      failures.push(`- ${nameOf(work)} FAILED: ${messageOf(reason)}`);
    }
  }
  device.dispose();
  const { navigator } = globalThis as unknown as PageGlobals;
  const engines = contenders.map(({ name, description }) => `- ${name}: ${description}`);
  return [
    `${adapter?.name ?? "unnamed adapter"}, ${navigator.userAgent}`,
    engines.join("\n"),
    ...warning,
    measurementTable(rows, !isSoftware),
    ...(failures.length > 0 ? [failures.join("\n")] : []),
    ...(isSoftware ? [] : ["Ratios are theirs / ours by medians: above 1 we are faster."]),
  ].join("\n\n");
}

/** Gives the page's button its work. */
export function startPage(load: Load): void {
  const { document, location } = globalThis as unknown as PageGlobals;
  const [button, progress, table] = ["run", "progress", "table"].map((id) => document.getElementById(id));
  if (!button || !progress || !table) throw new Error("the page lacks its button, progress or table");
  button.onclick = () => {
    button.disabled = true;
    const said: string[] = [];
    const say = (text: string): void => {
      said.push(text);
      progress.textContent = said.join("\n");
    };
    measure(load, location.hash === "#tiny" ? tinyWorks : works, say)
      .then(
        (text) => {
          table.textContent = text;
          say("Done. The table is for pasting.");
        },
        (reason: unknown) => say(`FAILED: ${messageOf(reason)}`),
      )
      .finally(() => (button.disabled = false));
  };
  button.disabled = false;
}
