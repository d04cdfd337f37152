import type { Command } from "@commander-js/extra-typings";
import { disposeDevices, EvenkeelError, getDevice } from "../../engine/index.ts";
import { deviceHelp } from "../deviceOption.ts";
import { exists } from "../exists.ts";
import { type Deviation, type FileReport, verifyFolder } from "../../diffusion/verify/node.ts";

/** How many of a file's failures its line tells. */
const failuresInLine = 3;

/** `evenkeel verify`: this program's numbers against those of the published implementation. */
export function addVerifyCommand(program: Command): void {
  program
    .command("verify")
    .description("Compare what a device computes with the numbers of the published implementation, file by file.")
    .argument("[dir]", "folder of reference files (default: EVENKEEL_REFERENCE, else test/reference)")
    .option("--device <name>", deviceHelp)
    .option("--rtol-scale <factor>", "factor on every tolerance", "1")
    .option("--json", "print the result as JSON, with every failure")
    .addHelpText(
      "after",
      `
A file's kind is the beginning of its name; all options come from its metadata. Of each file the line tells how many tensors
were compared and, of outputs and of gradients, which came nearest to its tolerance. What a file holds is compared: results and
options may be missing (options are the published ones' defaults then). What nothing in it can show to be right is named as not checked.
Ends with exit code 1 if a file failed, or if there is none.

Examples:
  $ npx evenkeel verify
  $ npx evenkeel verify reference --device oracle
  $ npx evenkeel verify --device webgpu --rtol-scale 3 --json`,
    )
    .action(async (dir, { device: name, rtolScale, json }) => {
      const named = dir ?? (process.env["EVENKEEL_REFERENCE"] || undefined);
      const folder = named ?? "test/reference";
      if (named === undefined && !(await exists(folder))) {
        throw new EvenkeelError(
          "file",
          `verify: there is no folder ${folder} here. The files with the published numbers come with a clone of the repository, not with ` +
            "the package: run it in a clone, or name a folder that has such files (npx evenkeel verify FOLDER, or EVENKEEL_REFERENCE).",
        );
      }
      // The name is checked where devices are made, with the list of those there are.
      const device = await getDevice(name as "auto" | undefined);
      try {
        const report = await verifyFolder(folder, device, {
          rtolScale: Number(rtolScale),
          ...(json === true ? {} : { onFile: (file) => console.log(describeFile(file)) }),
        });
        if (json === true) console.log(JSON.stringify(report, null, 2));
        else console.log(`${report.passed} passed, ${report.failed} failed`);
        // A folder in which nothing was compared has proven nothing.
        if (report.failed > 0 || report.passed === 0) process.exitCode = 1;
      } finally {
        await disposeDevices();
      }
    });
}

/** The one line of a file. */
function describeFile({ file, status, tensors, worst, failures, notChecked }: FileReport): string {
  const parts = [`${status.padEnd(6)} ${file}`, `${tensors} tensors`, ...worst.map(describeDeviation)];
  const [unseen] = notChecked;
  if (unseen !== undefined) {
    const more = notChecked.length > 1 ? ` and ${notChecked.length - 1} more (--json has all)` : "";
    parts.push(`not checked: ${unseen}${more}`);
  }
  if (failures.length > 0) {
    const more = failures.length - failuresInLine;
    const told = failures.slice(0, failuresInLine).join("; ");
    parts.push(more > 0 ? `${told}; and ${more} more (--json has all)` : told);
  }
  return parts.join(" | ");
}

function describeDeviation({ tensor, class: kind, deviation, tolerance, unit }: Deviation): string {
  const name = { output: "outputs", gradient: "gradients", scalar: "single numbers" }[kind];
  const limit = `${format(tolerance)}${unit === "ulp" ? " ulp" : ""}`;
  return `${name} ${format(deviation)} of ${limit} (${tensor})`;
}

/** Two digits. */
function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toExponential(1).replace(".0e", "e");
}
