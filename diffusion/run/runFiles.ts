import { EvenkeelError } from "../../engine/index.ts";
import { type Folder, isUnfinished, quoteText } from "../../engine/io/index.ts";
import { isCheckpointName } from "../checkpoint/index.ts";
import { dynamicsFileName } from "../dynamics/index.ts";
import { settingsFileName } from "../settingsFileName.ts";
import { statsFileName } from "./statsLog.ts";

/** What keeps a second process out of a run's folder. */
export const lockFileName = "run.lock";

/** Whether a file means something only to the process that trains there. */
export function staysBehind(name: string): boolean {
  return name === lockFileName || isUnfinished(name);
}

const isSnapshotName = (name: string): boolean => /^network-snapshot-.*\.safetensors$/.test(name);

/** What else a run writes: averages made of its snapshots, pictures, events for TensorBoard, its report, the emoji it converted. */
const otherFiles =
  /^(phema.*\.safetensors|samples-.*\.png|events\.out\.tfevents\..*|report\.html|emoji\d+(-[a-z]+)?\.zip)$/;

const isOfRun = (name: string): boolean =>
  [settingsFileName, statsFileName, dynamicsFileName].includes(name) ||
  isCheckpointName(name) ||
  isSnapshotName(name) ||
  otherFiles.test(name);

/**
 * Checks by their names that files are those of a run, and says what is missing or foreign.
 * @param source what messages call them.
 * @throws EvenkeelError `file` for what is no run.
 */
export function describeRunFiles(source: string, names: readonly string[]): string[] {
  const fail = (problem: string): never => {
    const some = names.slice(0, 3).map(quoteText).join(", ");
    const found = names.length === 0 ? "no files" : `${some}${names.length > 3 ? `, ... (${names.length} files)` : ""}`;
    throw new EvenkeelError("file", `${source}: holds no run: ${problem}. Found ${found}.`);
  };
  if (!names.includes(settingsFileName)) fail(`there is no ${settingsFileName}`);
  const hasCheckpoint = names.some(isCheckpointName);
  const hasSnapshots = names.some(isSnapshotName);
  if (!hasCheckpoint && !hasSnapshots) fail("there is neither a checkpoint (training-state-*) nor a snapshot");
  const foreign = names.filter((name) => !isOfRun(name));
  return [
    ...(hasCheckpoint ? [] : ["There is no checkpoint: the run can be sampled from, but it can't go on."]),
    ...(hasSnapshots ? [] : ["There are no snapshots: nothing can be sampled before the run goes on."]),
    ...tell("Files that no run writes, kept all the same", foreign),
  ];
}

/** One line for all files of a kind; none if there are none. */
export function tell(what: string, names: readonly string[]): string[] {
  const [first] = names;
  return first === undefined
    ? []
    : [`${what}: ${names.length} (${quoteText(first)}${names.length > 1 ? ", ..." : ""}).`];
}

/** The files of a run's folder that go with it, and a line about those that don't. @throws EvenkeelError `file`. */
export async function filesToTake(folder: Folder): Promise<{ readonly names: string[]; readonly told: string[] }> {
  const all = await folder.list();
  const told = tell("Left out what only the process that trains there needs", all.filter(staysBehind));
  return { names: all.filter((name) => !staysBehind(name)), told };
}
