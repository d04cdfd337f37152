import { type Command, Option } from "@commander-js/extra-typings";
import { exportToOnnx } from "../export/onnx.ts";

/** What writes the files of each target. */
const targets = { onnx: exportToOnnx };

/** `evenkeel export`: what was trained, for other programs. */
export function addExportCommand(program: Command): void {
  program
    .command("export")
    .description("Write a network for other programs: --to onnx makes models that onnxruntime runs, for serving.")
    .argument("<network>", "a snapshot (.safetensors or .pkl), or a run's folder, of which the newest is taken")
    .addOption(new Option("--to <program>", "for what").choices(["onnx"]).makeOptionMandatory())
    .requiredOption("--outdir <folder>", "where to put the files; made if missing")
    .option("--gnet <file>", 'guiding network, as in sample; "self" is the network itself without labels')
    .addOption(new Option("--solver <name>", "rule of the steps").choices(["heun", "euler"]).default("heun" as const))
    .addHelpText("after", examples)
    .action(async (network, { to, ...options }) => {
      await targets[to]({ ...options, network }, (line) => console.log(line));
    });
}

const examples = `
Examples:
  The denoiser, the sampler's step, its noise, and a program that makes images with them
  $ npx evenkeel export --to onnx phema-0000088-0.100.safetensors --outdir served

  With a guide in the step
  $ npx evenkeel export --to onnx net.safetensors --gnet early.safetensors --outdir served`;
