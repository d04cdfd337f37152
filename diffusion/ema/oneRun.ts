/** Whether averages can be of one run: what their files and names say. */
import { EvenkeelError } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import { networkConfig, type NetworkConfig } from "../network/index.ts";
import { formatSigmaRel } from "./snapshotNames.ts";
import type { AverageMetadata } from "./averageMetadata.ts";

/** A file that is taken for an average of a run. */
export type OfRun = {
  readonly fileName: string;
  /** What its name begins with, or nothing for names of any form. */
  readonly prefix: string;
  /** What it says of itself; undefined for files of other programs. */
  readonly stated: AverageMetadata | undefined;
};

/** @throws EvenkeelError `file` if a file states another width than its name. */
export function requireNamedWidth(file: string, sigmaRel: number, stated: AverageMetadata): void {
  const width = stated.sigmaRel;
  if (typeof width === "number" && formatSigmaRel(width) !== formatSigmaRel(sigmaRel)) {
    throw new EvenkeelError("file", `${file}: its name says sigma_rel ${sigmaRel}, its content ${width}.`);
  }
}

/** Tells which files are left out, by reasons. */
export function tellLeftOut(
  leftOut: ReadonlyMap<string, readonly string[]>,
  onLine: ((line: string) => void) | undefined,
): void {
  for (const [reason, [first = "", ...more]] of leftOut) {
    onLine?.(`left out: ${more.length + 1} ${reason}, such as ${quoteText(first)}`);
  }
}

/** @throws EvenkeelError `file` for snapshots that can't be of one run. */
export function requireOneRun(folder: string, candidates: readonly OfRun[]): void {
  const groups = (of: (candidate: OfRun) => string): [key: string, names: readonly string[]][] => {
    const found = new Map<string, string[]>();
    for (const candidate of candidates) {
      const key = of(candidate);
      found.set(key, [...(found.get(key) ?? []), candidate.fileName]);
    }
    return [...found];
  };
  const prefixes = groups(({ prefix }) => prefix);
  if (prefixes.length > 1) {
    const list = prefixes.slice(0, 5).map(([prefix, names]) => `${quoteText(prefix)} (${names.length})`);
    throw new EvenkeelError(
      "file",
      `${folder} holds snapshots of ${prefixes.length} prefixes: ${list.join(", ")}${prefixes.length > 5 ? ", ..." : ""}. ` +
        "Only those of one run can be averaged: choose one by --inprefix.",
    );
  }
  const refuse = (what: string, [[, [first = ""]] = ["", []], [, [other = ""]] = ["", []]]: typeof prefixes): never => {
    throw new EvenkeelError(
      "file",
      `${folder} holds snapshots of two ${what}, such as ${quoteText(first)} and ${quoteText(other)}. ` +
        "Only those of one run can be averaged: move the others away, or state in a --schedule file which belong together.",
    );
  };
  const programs = groups(({ stated }) => (stated === undefined ? "another" : "this"));
  if (programs.length > 1) refuse("programs", programs);
  const networks = groups(({ stated }) => networkText(stated)).filter(([network]) => network !== "");
  if (networks.length > 1) refuse("networks", networks);
}

/** A network's description, with what older versions of this program left to defaults. Empty for one that isn't known here. */
function networkText(stated: AverageMetadata | undefined): string {
  try {
    return JSON.stringify(networkConfig(stated?.network as NetworkConfig));
  } catch (reason) {
    if (reason instanceof EvenkeelError) return "";
    throw reason;
  }
}
