/** Networks that exist in memory alone, for specs of `evenkeel sample`, and what is made of them. */
import assert from "node:assert/strict";
import { sampleImages } from "../../cli/sampleImages.ts";
import type { FindNetwork, FoundNetwork, SampleSettings } from "../../cli/sampleSettings.ts";
import { type Denoiser, type DenoisingFormula, FormulaDenoiser, networkConfig } from "../../diffusion/network/index.ts";
import {
  add,
  cast,
  divide,
  equal,
  EvenkeelError,
  getDevice,
  multiply,
  reduceSum,
  reshape,
  square,
  type Tensor,
  tensor,
} from "../../engine/index.ts";

const device = await getDevice("wasm");

/** Networks by name: [channels, resolution, classes, level of its images]. */
const networks: Readonly<Record<string, readonly [number, number, number, number]>> = {
  colour: [3, 4, 4, 0],
  grey: [1, 4, 0, 0],
  latent: [4, 4, 0, 0],
  weak: [3, 4, 4, -0.2],
  unlabelled: [3, 4, 0, -0.2],
  larger: [3, 8, 4, 0],
  otherClasses: [3, 4, 5, 0],
  named: [3, 4, 4, 0],
  measured: [3, 4, 2, 0],
  partlySeen: [3, 4, 4, 0],
  older: [3, 4, 4, 0],
  undropped: [3, 4, 4, 0],
  student: [3, 4, 4, 0],
};

/** What networks know of labels, and how they were trained if not as students, with label dropout. */
const known: Readonly<Record<string, Partial<Pick<FoundNetwork, "classNames" | "seenLabels" | "trained">>>> = {
  named: { classNames: ["10", "2", "cats", "dogs, small"] },
  measured: {
    seenLabels: {
      kind: "vectors",
      values: [
        [0.5, 180],
        [0.25, 90],
      ],
    },
  },
  partlySeen: { seenLabels: { kind: "classes", values: [1, 3] } },
  older: { trained: null },
  undropped: { trained: { labelDropout: 0, isConsistent: false } },
  student: { trained: { labelDropout: 0.1, isConsistent: true } },
};

export type Loading = {
  readonly find: FindNetwork;
  readonly loaded: string[];
  readonly disposed: string[];
  /** Probabilities that networks with dropout on were asked for. */
  readonly dropped: (number | undefined)[];
  labels: (number[] | null)[];
};

/** Denoisers whose images have one level: the network's, and 0.1 for each number of the class. */
export function fakeNetworks(): Loading {
  const loading: Loading = {
    loaded: [],
    disposed: [],
    dropped: [],
    labels: [],
    find: async () => Promise.reject(new Error("unset")),
  };
  const find: FindNetwork = async (file) => {
    const network = networks[file];
    if (network === undefined) throw new EvenkeelError("file", `${file} is missing`);
    const [imageChannels, imageResolution, labelDim, level] = network;
    const formula: DenoisingFormula = (x, sigma, labels) => {
      const each = (values: Tensor): Tensor => reshape(values, [values.size, 1, 1, 1]);
      const noise = each(square(sigma));
      const isOne = labels === null ? null : cast(equal(labels, 1), "f32");
      const classes = tensor(Float32Array.from({ length: labelDim }, (_, i) => i));
      const chosen = isOne === null ? 0 : each(reduceSum(multiply(isOne, classes), { axes: 1 })).multiply(0.1);
      return divide(add(multiply(x, 0.01), multiply(noise, add(chosen, level))), add(noise, 0.01));
    };
    const inner = new FormulaDenoiser(formula, device);
    const denoiser: Denoiser = {
      device,
      async evaluate(state, isLabelled = true) {
        const labels = await state.read(({ evaluation }) => [evaluation.labels].filter((each) => each !== null));
        loading.labels.push(isLabelled && labels[0] !== undefined ? [...(await labels[0].data())] : null);
        await inner.evaluate(state, isLabelled);
      },
    };
    return {
      config: networkConfig({ unet: { imageChannels, imageResolution, labelDim, channelMult: [1] } }),
      classNames: null,
      seenLabels: null,
      trained: { labelDropout: 0.1, isConsistent: false },
      digest: async () => `digest of ${file}`,
      ...known[file],
      load: async () => {
        loading.loaded.push(file);
        const dispose = (): void => {
          loading.disposed.push(file);
          inner.dispose();
        };
        const withDropout = (probability?: number): Denoiser => {
          loading.dropped.push(probability);
          return denoiser;
        };
        return { denoiser, withDropout, dispose };
      },
    };
  };
  return Object.assign(loading, { find });
}

/** Four images of the network `colour`. */
export const defaults: SampleSettings = {
  net: "colour",
  guidance: 1,
  subdirs: false,
  gridScale: 1,
  seeds: [16, 17, 18, 19],
  batch: 32,
  networkBatch: 4,
  solver: "heun",
  steps: 4,
};

/** Samples fake networks, and sees that those that were loaded are freed. */
export async function sample(
  settings: Partial<SampleSettings>,
): Promise<Loading & { readonly lines: readonly string[]; readonly memory: string }> {
  const loading = fakeNetworks();
  const all: string[] = [];
  try {
    await sampleImages({ ...defaults, ...settings }, device, loading.find, (line) => {
      // Said before any weights are read.
      if (line.startsWith("memory: ")) assert.deepEqual(loading.loaded, []);
      all.push(line);
    });
  } finally {
    // Whatever happens, what was loaded is freed.
    assert.deepEqual(
      loading.disposed,
      loading.loaded.filter((file) => file in networks),
    );
  }
  const [memory = "", ...more] = all.filter((line) => line.startsWith("memory: "));
  assert.deepEqual(more, []);
  return { ...loading, lines: all.filter((line) => line !== memory), memory };
}
