import { type Command, Option } from "@commander-js/extra-typings";
import { parseImages } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { exportToOnnx } from "../export/onnx.ts";
import { exportToPytorch } from "../export/pytorch.ts";
import { orInvalid } from "../orInvalid.ts";

/** What it is for, and the options that only that has. */
const targets = { pytorch: ["duration"], onnx: ["gnet", "solver"] } as const;
type Target = keyof typeof targets;

/** `evenkeel export`: what was trained, for other programs. */
export function addExportCommand(program: Command): void {
  program
    .command("export")
    .description(
      "Write a run for other programs: --to pytorch a folder in which PyTorch trains on, on one machine or many; --to onnx models that " +
        "onnxruntime samples with.",
    )
    .argument(
      "<source>",
      "folder of a run; for pytorch also a file of settings for one that begins, for onnx a snapshot (.safetensors or .pkl)",
    )
    .addOption(
      new Option("--to <program>", "what it is for").choices(Object.keys(targets) as Target[]).makeOptionMandatory(),
    )
    .option("--outdir <folder>", "where it goes; made if missing, else empty (default: beside it, NAME-PROGRAM)")
    .option(
      "--duration <images>",
      "pytorch: images until the run's end (default: its settings')",
      orInvalid(parseImages),
    )
    .option("--gnet <file>", 'onnx: guiding network, as in sample; "self" is the network itself without labels')
    .addOption(new Option("--solver <name>", "onnx: rule of the steps (default: heun)").choices(["heun", "euler"]))
    .addHelpText("after", examples)
    .action(async (source, { to, outdir, duration, gnet, solver }) => {
      const given = { duration, gnet, solver };
      for (const [target, names] of Object.entries(targets)) {
        const foreign = target === to ? undefined : names.find((name) => given[name] !== undefined);
        if (foreign === undefined) continue;
        throw new EvenkeelError(
          "value",
          `export: --${foreign} is for --to ${target}, and this is for ${to}. Leave it out.`,
        );
      }
      switch (to) {
        case "pytorch":
          await exportToPytorch({ source, outdir, duration });
          return;
        case "onnx": {
          const folder = outdir ?? `${source.replace(/[\\/]+$|\.(safetensors|pkl)$/, "")}-onnx`;
          const wanted = { network: source, outdir: folder, gnet, solver: solver ?? "heun" } as const;
          await exportToOnnx(wanted, (line) => console.log(line));
        }
      }
    });
}

const examples = `
Examples:
  A run goes on in PyTorch, and comes back
  $ npx evenkeel export --to pytorch runs/emoji16 --outdir runs/emoji16-pytorch
  $ cd runs/emoji16-pytorch && torchrun --nproc_per_node 2 train.py
  $ npx evenkeel train --config runs/emoji16-pytorch/settings.toml --outdir runs/emoji16-pytorch

  A run that begins there, from settings that were looked over here
  $ npx evenkeel train --preset emoji16 --data emoji16 --dry-run > large.toml
  $ npx evenkeel export --to pytorch large.toml --outdir runs/large

  The denoiser, the sampler's step, its noise, and a program that makes images with them, for onnxruntime
  $ npx evenkeel export --to onnx phema-0000088-0.100.safetensors --outdir served

  With a guide in the step
  $ npx evenkeel export --to onnx net.safetensors --gnet early.safetensors --outdir guided

What PyTorch needs is in its folder: the network with its derivative and the update as source, the noise of every image, the order of the
images, the state, the data. Nobody may train in the run meanwhile.`;
