/** All laws of devices, by name. */
import type { Device } from "../../engine/devices/device.ts";
import { EvenkeelError } from "../../engine/errors.ts";
import { createDevice } from "../../engine/devices/select.ts";
import { accuracies } from "../bounds/accuracies.ts";
import { checkContractions, checkKernels, checkPlans } from "./kernelLaws.ts";
import { determinismLaw } from "./determinismLaw.ts";
import type { LawOptions } from "./lawOptions.ts";
import { checkPrograms } from "./programLaw.ts";
import { findUnrefused } from "./refusalLaw.ts";

/** Laws that a device is held to. */
export const deviceLawNames = ["kernels", "products", "plans", "programs", "determinism", "refusals"] as const;
/** What is tried: see {@link deviceLaws}. */
export type DeviceLawName = (typeof deviceLawNames)[number];

/** A law of devices. */
export type DeviceLaw = {
  /** What is tried, in a few words. */
  readonly title: string;
  /** Cases for each hundred that are asked for: those of some laws take longer than those of others. */
  readonly share: number;
  /** Whether a device can be held to it: those that interpret graphs have no kernels. */
  readonly appliesTo: (device: Device) => boolean;
  /** @throws Error with the shrunk counterexample */
  readonly hold: (device: Device, options: LawOptions) => Promise<{ readonly compared: number }>;
};

/**
 * `kernels`: random kernels, one by one. `products`: matrix products and convolutions of several tiles. `plans`: several kernels that share
 * memory, each plan run twice. `programs`: random programs against the oracle. `determinism`: the same bits again. `refusals`: wrong calls
 * are refused with the right code and change nothing (on two devices of the same name that are made for it).
 */
export const deviceLaws: { readonly [K in DeviceLawName]: DeviceLaw } = {
  kernels: kernelLaw("random kernels", 100, checkKernels),
  products: kernelLaw("products and convolutions of several tiles", 10, checkContractions),
  plans: kernelLaw("random plans, each run twice", 20, checkPlans),
  programs: {
    title: "random programs against float64",
    share: 50,
    appliesTo: () => true,
    hold: checkPrograms,
  },
  determinism: {
    title: "random programs, the same bits again",
    share: 10,
    appliesTo: () => true,
    hold: determinismLaw,
  },
  refusals: {
    title: "wrong calls",
    share: 3,
    appliesTo: ({ runs }) => runs === "kernels",
    hold: holdRefusals,
  },
};

function kernelLaw(title: string, share: number, check: typeof checkKernels): DeviceLaw {
  return {
    title,
    share,
    appliesTo: ({ runs }) => runs === "kernels",
    hold: (device, options) => {
      if (device.runs === "kernels") return check(device, options);
      throw new EvenkeelError("device", `${device.name} interprets graphs; the law is about kernels.`);
    },
  };
}

async function holdRefusals(
  { name }: Device,
  { runs, seed, onCase }: LawOptions,
): Promise<{ readonly compared: number }> {
  const [own, other] = [await createDevice(name), await createDevice(name)];
  try {
    const unrefused = await findUnrefused(own, other, { runs, seed });
    if (unrefused.length > 0) throw new Error(`seed ${seed}: not refused as it should be:\n${unrefused.join("\n")}`);
    onCase?.(runs);
    return { compared: runs };
  } finally {
    own.dispose();
    other.dispose();
  }
}

/** How a device is held to all laws. */
export type DeviceLawOptions = Partial<LawOptions> & {
  /** Which laws. Default: all but `refusals`, which makes devices of its own by name. */
  readonly laws?: readonly DeviceLawName[];
};

/**
 * Holds a device to the laws: what it computes is within the error that float32 allows of what the definition of kernels and graphs says,
 * the same again the next time, and no memory is left behind.
 * @param options by default 100 cases (of laws whose cases take long, a share of that), seed 20240612, and the accuracy that the device's
 * name promises
 * @returns how many elements were compared by each law
 * @throws Error with the shrunk counterexample of the first law that is broken
 * @example
 * ```ts
 * const compared = await deviceLaw(new ReferenceDevice("arena"), { runs: 4, laws: ["kernels", "programs"] });
 * console.log(Object.keys(compared)); // [ 'kernels', 'programs' ]
 * ```
 */
export async function deviceLaw(
  device: Device,
  options: DeviceLawOptions = {},
): Promise<Partial<Record<DeviceLawName, number>>> {
  const { laws = deviceLawNames.filter((name) => name !== "refusals"), runs = 100 } = options;
  const compared: Partial<Record<DeviceLawName, number>> = {};
  for (const name of laws) {
    const law = deviceLaws[name];
    if (!law.appliesTo(device)) continue;
    const report = await law.hold(device, {
      seed: 20_240_612,
      accuracy: accuracies[device.name],
      ...options,
      runs: casesOf(law, runs),
    });
    compared[name] = report.compared;
  }
  return compared;
}

/**
 * How many cases of a law are tried where `runs` are asked for.
 * @example console.log(casesOf(deviceLaws.kernels, 1000), casesOf(deviceLaws.plans, 1000)); // 1000 200
 */
export const casesOf = ({ share }: DeviceLaw, runs: number): number => Math.max(1, Math.round((runs * share) / 100));
