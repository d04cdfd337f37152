import { z } from "zod";
import { type Device, EvenkeelError, type StoredTensor, type Tensor, tensor, toFloat32 } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { denoise, logvar, type NetworkConfig, networkConfigFromReference } from "../network/index.ts";
import { readSnapshot } from "../snapshot/node.ts";
import { assembleNetwork } from "../training/index.ts";
import type { Checks, Tolerances } from "./checks.ts";
import { evaluateOn } from "./evaluateOn.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { networkUnder } from "./networkOptions.ts";

const tolerances: Tolerances = { output: 1e-5, gradient: 1e-5, scalar: 1e-5 };

function configOf(fixture: Fixture): NetworkConfig {
  return networkConfigFromReference(fixture.metadata("config", z.record(z.string(), z.unknown())));
}

/** A snapshot's answers, from weights that are widened to float32 before anything else. */
async function checkAnswers(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  config: NetworkConfig,
  weights: NamedParameters,
): Promise<void> {
  const compute = (named: NamedParameters, x: Tensor, sigma: Tensor, labels: Tensor | null) => {
    const network = assembleNetwork(named, {});
    return { D: denoise(config, network, x, sigma, labels), u: logvar(config, network, sigma) };
  };
  const labels = config.unet.labelDim > 0 ? fixture.tensor("class_labels") : null;
  const { D, u } = await evaluateOn(device, compute, weights, fixture.tensor("x"), fixture.tensor("sigma"), labels);
  await checks.tensor("D_upcast_f32", D, fixture.stored("D_upcast_f32"), "output");
  await checks.tensor("logvar_f32", u, fixture.stored("logvar_f32"), "output");
  // There the gains were rounded to float16, which is 3e-5 off.
  fixture.setAside("D_half_gain_f32");
}

/** A snapshot's weights and answers, written down beside the snapshot. */
export const snapshots: Kind = {
  prefix: "network-snapshot-",
  extension: ".safetensors",
  tolerances,
  async check(fixture, checks, device) {
    const config = configOf(fixture);
    const { weights, buffers } = networkUnder(fixture, "weights/", config);
    await checkAnswers(fixture, checks, device, config, { ...weights, ...buffers });
  },
};

/** The snapshot itself: what is read from it is what was written down. */
export const pickledSnapshots: Kind = {
  prefix: "network-snapshot-",
  extension: ".pkl",
  numbersOf: (path) => path.replace(/\.pkl$/, ".safetensors"),
  tolerances,
  async check(fixture, checks, device) {
    const { network, weights } = await readSnapshot(fixture.path);
    const config = configOf(fixture);
    if (JSON.stringify(network) !== JSON.stringify(config)) {
      checks.fail(`its configuration ${JSON.stringify(network)} is not the one that is written down for it`);
    }
    const truth = fixture.storedUnder("weights/");
    requireSameNames(weights, truth, "weights/");
    for (const [name, stored] of truth)
      checks.halfFloats(`weights/${name}`, weights.get(name) as StoredTensor, stored, 0);
    const tensors = [...weights].map(([name, stored]): [string, Tensor] => [
      name,
      tensor(toFloat32(stored), { shape: stored.shape }),
    ]);
    await checkAnswers(fixture, checks, device, config, Object.fromEntries(tensors));
  },
};

/** @throws EvenkeelError `file` that names arrays of which one side has none. */
export function requireSameNames(
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
  prefix: string,
): void {
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  const extra = [...found.keys()].filter((name) => !expected.has(name));
  const list = (names: readonly string[]): string => `${names.length} such as ${prefix}${names[0]}`;
  if (missing.length > 0) throw new EvenkeelError("file", `arrays are missing: ${list(missing)}.`);
  if (extra.length > 0) throw new EvenkeelError("file", `there are arrays that shouldn't be: ${list(extra)}.`);
}
