import { InvalidArgumentError, type Command } from "@commander-js/extra-typings";
import { countNetwork, type NetworkConfig } from "../../diffusion/network/index.ts";
import { presetNetwork, presetOf, presets } from "../../diffusion/presets/index.ts";
import { createDevice, EvenkeelError } from "../../engine/index.ts";
import { findStored } from "../findNetwork.ts";
import { memoryOnDevice } from "../memoryReport.ts";
import { configurationNamed, missingAttention, parseSwitches, switchNames } from "../../nn/index.ts";

/** `evenkeel count`: parameters, multiply-accumulates and memory of a network. */
export function addCountCommand(program: Command): void {
  program
    .command("count")
    .description("Count a network's parameters, multiply-accumulates and memory, layer by layer.")
    .option("--preset <name>", `settings: ${Object.keys(presets).join(", ")}`)
    .option("--config <letter>", "configuration of the ladder: A, B, C, D, E, F or G (default: G)")
    .option("--switches <list>", "switches to turn in it, as groupNorm=none,pixelNorm=true")
    .option("--net <file>", "a stored network (.safetensors or .pkl) instead of a preset")
    .option("--resolution <pixels>", "height and width of the images (default: the preset's own)", parseWhole)
    .option("--img-channels <count>", "channels of the images (default: the preset's own)", parseWhole)
    .option("--label-dim <count>", "number of classes, 0 for none (default: the preset's own)", parseWhole)
    .option("--channels <count>", "base width (default: the preset's)", parseWhole)
    .option("--batch <images>", "images a step, for the memory of training", parseWhole, 32)
    .option("--layers", "list every layer")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
Examples:
  $ npx evenkeel count --preset edm2-img512-s
  $ npx evenkeel count --preset edm2-img512-s --config A
  $ npx evenkeel count --preset emoji16 --channels 64 --layers
  $ npx evenkeel count --preset emoji32 --config C --switches weightNorm=true --json
  $ npx evenkeel count --net network-snapshot-0000088-0.100.safetensors --json

Multiply-accumulates are those of convolutions, linear layers and attention for one image forward; a training step takes about
three times as many for each image of the batch.
Published parameter counts of configurations A to F are without the loss head, that of G is with it.
Switches: ${switchNames.join(", ")}.`,
    )
    .action(async (options) => {
      const network = await networkOf(options);
      const count = countNetwork(network);
      const averages = 2;
      const mebibytes = (elements: number): number => (elements * 4) / 2 ** 20;
      const memory = {
        weights: mebibytes(count.parameters),
        // Weights, gradients, two moments, the averages.
        trainingState: mebibytes(count.parameters * (4 + averages)),
        activationsPerImage: mebibytes(count.outputs),
        activationsPerBatch: mebibytes(count.outputs * options.batch),
      };
      if (options.json === true) {
        console.log(JSON.stringify({ network, ...count, memoryMiB: memory }, null, 2));
        return;
      }
      if (options.layers === true) printLayers(count.layers);
      const { unet } = network;
      console.log(
        `images        ${unet.imageResolution}x${unet.imageResolution}, ${unet.imageChannels} channels, ${unet.labelDim} classes`,
      );
      const missing = missingAttention(unet);
      if (missing !== null) console.log(`attention     ${missing}`);
      const [all, head] = [count.parameters, count.lossHeadParameters];
      const parts = head === 0 ? "no loss head" : `${(all - head).toLocaleString("en")} and a loss head of ${head}`;
      console.log(`parameters    ${all.toLocaleString("en")} (${parts})`);
      console.log(`GMACs/image   ${(count.macs / 1e9).toPrecision(4)}`);
      console.log(`weights       ${memory.weights.toFixed(1)} MiB in float32`);
      console.log(
        `training      ${memory.trainingState.toFixed(1)} MiB for weights, gradients, Adam and ${averages} averages`,
      );
      console.log(
        `activations   ${memory.activationsPerImage.toFixed(2)} MiB an image, ${memory.activationsPerBatch.toFixed(1)} MiB for ` +
          `${options.batch} (outputs of layers with weights and of attention)`,
      );
      const device = await createDevice("wasm", { wasm: { threads: 1 } });
      try {
        for (const line of await memoryOnDevice(network, device)) console.log(line);
      } finally {
        device.dispose();
      }
    });
}

type Options = {
  readonly preset?: string | undefined;
  readonly config?: string | undefined;
  readonly switches?: string | undefined;
  readonly net?: string | undefined;
  readonly resolution?: number | undefined;
  readonly imgChannels?: number | undefined;
  readonly labelDim?: number | undefined;
  readonly channels?: number | undefined;
};

async function networkOf(options: Options): Promise<NetworkConfig> {
  if ((options.preset === undefined) === (options.net === undefined)) {
    throw new EvenkeelError("value", "count: give either --preset or --net.");
  }
  if (options.net !== undefined && (options.config !== undefined || options.switches !== undefined)) {
    throw new EvenkeelError(
      "value",
      "count: a stored network has its configuration; --config and --switches are for presets.",
    );
  }
  if (options.net !== undefined) return (await findStored(options.net)).network;
  const preset = presetOf(options.preset ?? "");
  const { imageResolution, imageChannels, labelDim } = preset.data;
  const data = {
    imageResolution: options.resolution ?? imageResolution,
    imageChannels: options.imgChannels ?? imageChannels,
    labelDim: options.labelDim ?? labelDim,
  };
  return presetNetwork(configurationNamed(options.config ?? "G"), preset, data, {
    ...(options.channels === undefined ? {} : { modelChannels: options.channels }),
    ...(options.switches === undefined ? {} : parseSwitches(options.switches)),
  });
}

function printLayers(layers: ReturnType<typeof countNetwork>["layers"]): void {
  const width = Math.max(...layers.map(({ name }) => name.length));
  console.log(
    `${"layer".padEnd(width)}  ${"parameters".padStart(12)}  ${"MMACs".padStart(12)}  ${"outputs".padStart(12)}`,
  );
  for (const { name, parameters, macs, outputs } of layers) {
    const cells = [parameters.toLocaleString("en"), (macs / 1e6).toFixed(3), outputs.toLocaleString("en")];
    console.log(`${name.padEnd(width)}  ${cells.map((cell) => cell.padStart(12)).join("  ")}`);
  }
}

function parseWhole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("expected a whole number.");
  return value;
}
