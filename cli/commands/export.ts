import { type Command, Option } from "@commander-js/extra-typings";
import { parseImages } from "../../diffusion/settings/index.ts";
import { exportToPytorch } from "../export/pytorch.ts";
import { orInvalid } from "../orInvalid.ts";

const targetNames = ["pytorch"] as const;

/** What writes a run for each program. */
const targets: { readonly [Name in (typeof targetNames)[number]]: typeof exportToPytorch } = {
  pytorch: exportToPytorch,
};

/** `evenkeel export`: a run for other programs. */
export function addExportCommand(program: Command): void {
  program
    .command("export")
    .description("Write a run for other programs: a folder in which PyTorch trains on, on one machine or many.")
    .argument("<source>", "folder of a run, or a file of settings for one that begins")
    .addOption(new Option("--to <program>", "what it is for").choices(targetNames).makeOptionMandatory())
    .option("--outdir <folder>", "where it goes; made if missing, else empty (default: beside it, NAME-pytorch)")
    .option("--duration <images>", "images until the run's end (default: its settings')", orInvalid(parseImages))
    .addHelpText("after", examples)
    .action((source, { to, ...options }) => targets[to]({ source, ...options }));
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

What PyTorch needs there is in the folder: the network with its derivative and the update as source, the noise of every image, the order of
the images, the state, the data. Nobody may train in the run meanwhile.`;
