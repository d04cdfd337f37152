import * as z from "zod";
import { type Device, EvenkeelError, tensor, type Tensor } from "../../engine/index.ts";
import { fromFloat16Bits, type StoredTensor, toFloat16Bits, toFloat32 } from "../../engine/io/index.ts";
import { flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { denoise, describeDenoiser, logvar, type NetworkConfig } from "../network/index.ts";
import { readSnapshot } from "../snapshot/node.ts";
import { denoiserParameters } from "../training/index.ts";
import type { Checks, Tolerances } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import type { Fixture } from "./fixture.ts";
import { labelsFor, perImage } from "./inputs.ts";
import type { Kind } from "./kind.ts";
import { edm2, networkOf, type NetworkPart, networkUnder } from "./networkOptions.ts";

const tolerances: Tolerances = { output: 1e-5, gradient: 1e-5, scalar: 1e-5 };

function configOf(fixture: Fixture): NetworkConfig {
  return networkOf(fixture, "weights/", fixture.metadata("config", z.record(z.string(), z.unknown())));
}

/**
 * The gains as the reference has them when it computes with 16-bit weights as they are: there each layer's gain / sqrt(fan-in) is rounded
 * to float16. Everything else is widened first.
 */
function halfGains(
  config: NetworkConfig,
  weights: NamedParameters,
  values: ReadonlyMap<string, number>,
): NamedParameters {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  const layers: Readonly<Record<string, string>> = { emb_gain: "emb_linear.weight", out_gain: "out_conv.weight" };
  const halved = Object.keys(weights).map((name): [string, Tensor] => {
    const last = name.slice(name.lastIndexOf(".") + 1);
    const layer = specs[name.slice(0, -last.length) + (layers[last] ?? "")];
    const value = values.get(name);
    if (layer === undefined || value === undefined) return [name, weights[name] as Tensor];
    const root = Math.sqrt(layer.shape.slice(1).reduce((product, extent) => product * extent, 1));
    const rounded = fromFloat16Bits(toFloat16Bits(Math.fround(value / root)));
    return [name, tensor(Float32Array.of(rounded * root), { shape: [] })];
  });
  return Object.fromEntries(halved);
}

/** A snapshot's answers, from weights that are widened to float32 before anything else, and with rounded gains. */
async function checkAnswers(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  config: NetworkConfig,
  arraysOf: (part: NetworkPart) => NamedParameters,
): Promise<void> {
  fixture.inputs("", ["x", "sigma", "class_labels"]);
  const found = new Comparison(fixture, checks);
  const answers = ["D_upcast_f32", "D_half_gain_f32"];
  if (found.has(...answers)) {
    const weights = arraysOf("unet");
    const gains = await Promise.all(
      Object.entries(weights)
        .filter(([, { size }]) => size === 1)
        .map(async ([name, gain]): Promise<[string, number]> => [name, await gain.item()]),
    );
    const count = fixture.stored("x").shape[0] ?? 0;
    const labels = labelsFor(fixture, "", config.unet.labelDim, count);
    const compute = (named: NamedParameters, x: Tensor, sigma: Tensor, classes: Tensor | null): Tensor =>
      denoise(config, denoiserParameters(named, {}), x, sigma, classes);
    for (const [answer, arrays] of [
      ["D_upcast_f32", weights],
      ["D_half_gain_f32", halfGains(config, weights, new Map(gains))],
    ] as const) {
      if (!found.has(answer)) continue;
      const sigma = perImage(fixture, "sigma", count);
      await found.tensor(
        answer,
        await evaluateOn(device, compute, arrays, fixture.tensor("x"), sigma, labels),
        "output",
      );
    }
  }
  if (found.has("logvar_f32")) {
    const sigma = fixture.tensor("sigma", [fixture.stored("sigma").data.length]);
    const head = (named: NamedParameters, levels: Tensor): Tensor =>
      logvar(config, denoiserParameters(named, {}), levels);
    await found.tensor("logvar_f32", await evaluateOn(device, head, arraysOf("lossHead"), sigma), "output");
  }
  if (config.unet.dropout > 0) fixture.leaveOut("option dropout, which acts in training only");
}

/** A snapshot's weights and answers, written down beside the snapshot. */
export const snapshots: Kind = {
  prefix: "network-snapshot-",
  extension: ".safetensors",
  tolerances,
  async check(fixture, checks, device) {
    const config = configOf(fixture);
    fixture.inputs("weights/", Object.keys(flattenParameters<ParameterSpec>(describeDenoiser(config))));
    await checkAnswers(fixture, checks, device, config, (part) => {
      const { weights, buffers } = networkUnder(fixture, "weights/", config, part, edm2);
      return { ...weights, ...buffers };
    });
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
    requireNames(weights, truth, "weights/");
    for (const [name, stored] of truth)
      checks.sameFloats(`weights/${name}`, weights.get(name) as StoredTensor, stored, 0);
    const unseen = [...weights.keys()].filter((name) => !truth.has(name));
    if (unseen.length > 0) fixture.leaveOut(`${unseen.length} arrays that are not written down, such as ${unseen[0]}`);
    const tensors = [...weights].map(([name, stored]): [string, Tensor] => [
      name,
      tensor(toFloat32(stored), { shape: stored.shape }),
    ]);
    await checkAnswers(fixture, checks, device, config, () => Object.fromEntries(tensors));
  },
};

/** @throws EvenkeelError `file` that names arrays which are expected and not found. */
export function requireNames(
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
  prefix: string,
): void {
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  if (missing.length > 0) {
    throw new EvenkeelError("file", `arrays are missing: ${missing.length} such as ${prefix}${missing[0]}.`);
  }
}
