import type { Command } from "@commander-js/extra-typings";
import { addCompareCommand } from "./compare.ts";
import { addCountCommand } from "./count.ts";
import { addDatasetCommand } from "./dataset.ts";
import { addDevicesCommand } from "./devices.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addExplainCommand } from "./explain.ts";
import { addExportCommand } from "./export.ts";
import { addLadderCommand } from "./ladder.ts";
import { addMetricsCommand } from "./metrics.ts";
import { addPhemaCommand } from "./phema.ts";
import { addSampleCommand } from "./sample.ts";
import { addTestDeviceCommand } from "./testDevice.ts";
import { addToyCommand } from "./toy.ts";
import { addTrainCommand } from "./train.ts";
import { addVerifyCommand } from "./verify.ts";

/**
 * Adds every subcommand to the program; the one place where they are listed. Each has a file of its own that exports
 * `addNameCommand(program)` and makes it with `program.command(...)`, so that it inherits the program's error handling.
 */
export function addCommands(program: Command): void {
  addCompareCommand(program);
  addCountCommand(program);
  addDatasetCommand(program);
  addDevicesCommand(program);
  addDoctorCommand(program);
  addExplainCommand(program);
  addExportCommand(program);
  addLadderCommand(program);
  addMetricsCommand(program);
  addPhemaCommand(program);
  addSampleCommand(program);
  addTestDeviceCommand(program);
  addToyCommand(program);
  addTrainCommand(program);
  addVerifyCommand(program);
}
