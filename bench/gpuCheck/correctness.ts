/** Whether an adapter computes what it should: random kernels and programs against float64, special values, and a net's losses. */
import {
  add,
  compile,
  createDevice,
  type Device,
  divide,
  exp,
  isFinite,
  isNaN,
  log,
  maximum,
  multiply,
  sqrt,
  subtract,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import type { KernelDevice } from "../../engine/devices/device.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { checkContractions, checkKernels, checkPlans } from "../../testing/laws/kernelLaws.ts";
import { checkPrograms } from "../../testing/laws/programLaw.ts";
import { digits, tableOf } from "../markdown.ts";
import type { Finding } from "./report.ts";
import type { Subject } from "./subject.ts";

export type LawCounts = {
  readonly kernels: number;
  readonly contractions: number;
  readonly plans: number;
  readonly programs: number;
};

const seed = 20_240_612;

/** The laws that the tests hold devices to, each on its own. */
export async function checkLaws(device: KernelDevice, counts: LawCounts): Promise<Finding> {
  const accuracy = accuracies.webgpu;
  const laws = [
    ["random kernels", counts.kernels, checkKernels],
    ["products and convolutions of several tiles", counts.contractions, checkContractions],
    ["random plans, each run twice", counts.plans, checkPlans],
    ["random programs against the oracle", counts.programs, checkPrograms],
  ] as const;
  const found: { readonly name: string; readonly runs: number; readonly compared: number; readonly wrong: string }[] =
    [];
  for (const [name, runs, law] of laws) {
    try {
      // A counterexample is not made smaller: on the box there is no time for it, and the seed repeats it elsewhere.
      const { compared } = await law(device, { runs, seed, accuracy, shrinks: false });
      found.push({ name, runs, compared, wrong: "" });
    } catch (error) {
      found.push({ name, runs, compared: 0, wrong: error instanceof Error ? error.message : String(error) });
    }
  }
  const rows = found.map(({ name, runs, compared, wrong }) => [name, runs, compared, wrong === "" ? "right" : "WRONG"]);
  const wrong = found.filter((one) => one.wrong !== "");
  const details = wrong.map((one) => `\n\n${one.name}:\n\n\`\`\`\n${one.wrong.slice(0, 3000)}\n\`\`\``);
  const isWrong = wrong.length > 0;
  return {
    data: { seed, found },
    isWrong,
    text: `${tableOf(["law", "runs", "numbers", ""], rows)}${details.join("")}`,
  };
}

const specialValues = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 3.4028234663852886e38, 1.1754943508222875e-38, 1e-40];

/** Values that arithmetic makes of these, by which WGSL promises nothing: what the adapter makes of them. */
const made: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  x: (x) => x,
  "x * 1": (x) => multiply(x, 1),
  "x + x": (x) => add(x, x),
  "x - x": (x) => subtract(x, x),
  "x / 0": (x) => divide(x, 0),
  "max(x, 0)": (x) => maximum(x, 0),
  "exp(x)": (x) => exp(x),
  "log(x)": (x) => log(x),
  "sqrt(x)": (x) => sqrt(x),
};

/** Tests for NaN and infinity, of values that were given (which must be right) and of values that were computed. */
export async function checkSpecialValues(device: Device): Promise<Finding> {
  const oracle = await createDevice("oracle");
  const rows: string[][] = [];
  const data: Record<string, unknown> = {};
  let wrong = 0;
  for (const [name, make] of Object.entries(made)) {
    const given = (x: Tensor): readonly Tensor[] => {
      const y = make(x);
      return [isNaN(y), isFinite(y)];
    };
    const answers: number[][][] = [];
    for (const one of [device, oracle]) {
      const program = compile(given, { device: one });
      const results = await program(tensor(Float32Array.from(specialValues)));
      answers.push(await Promise.all(results.map(async (result) => [...(await result.data())])));
      program.dispose();
    }
    const [ours, truth] = answers;
    const differing = specialValues.filter((_, i) => [0, 1].some((k) => ours?.[k]?.[i] !== truth?.[k]?.[i]));
    if (name === "x") wrong = differing.length;
    data[name] = { ours, truth };
    rows.push([
      name,
      differing.length === 0
        ? "as in float64"
        : `differs for ${differing.map((x) => (Object.is(x, -0) ? "-0" : String(x))).join(", ")}`,
    ]);
  }
  oracle.dispose();
  const verdict = wrong === 0 ? "Tests of given values are right." : "WRONG: tests of given values differ.";
  const note =
    "Float64 overflows later, so that the largest number's double differs by nature; of what is computed from NaN and infinities WGSL promises nothing.";
  return {
    data,
    isWrong: wrong > 0,
    text: `${verdict}\n\n${tableOf(["NaN and finite of", "on this adapter"], rows)}\n\n${note}`,
  };
}

async function lossesOf(subject: Subject, device: Device, steps: number): Promise<number[]> {
  const training = await subject.training(device);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const all = await training.step();
    losses.push(all.reduce((sum, loss) => sum + loss, 0) / all.length);
  }
  training.dispose();
  return losses;
}

/** Losses beside those of `wasm`: the first to rounding errors, later ones as far as Adam's signs of small gradients let them. */
export async function checkLosses(device: Device, subject: Subject, steps: number): Promise<Finding> {
  const wasm = await createDevice("wasm", { wasm: { threads: 1 } });
  const [ours, theirs] = [await lossesOf(subject, device, steps), await lossesOf(subject, wasm, steps)];
  wasm.dispose();
  const away = ours.map((loss, i) => Math.abs(loss / (theirs[i] ?? NaN) - 1));
  const rows = ours.map((loss, i) => [
    i + 1,
    loss.toPrecision(8),
    (theirs[i] ?? NaN).toPrecision(8),
    digits(away[i] ?? NaN),
  ]);
  const isNear = (away[0] ?? NaN) <= 1e-4;
  return {
    data: { subject: subject.name, ours, theirs },
    isWrong: !isNear,
    text: `${isNear ? "The first loss is right." : "WRONG: the first loss differs."}\n\n${tableOf(["step", "webgpu", "wasm", "apart"], rows)}`,
  };
}
