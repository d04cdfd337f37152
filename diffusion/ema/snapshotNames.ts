/**
 * Names of snapshot files, as the authors' program forms them: PREFIX-KKKKKKK-S.SSS, with the thousands of images seen
 * (rounded down, at least 7 digits) and sigma_rel (at least 3 decimals; more only if it has more).
 */
import { EvenkeelError } from "../../engine/index.ts";

/** What the name of a snapshot says: `prefix-KIMG-SIGMAREL`; `kimg` is images seen in thousands. */
export type SnapshotName = {
  readonly prefix: string;
  readonly kimg: number;
  readonly sigmaRel: number;
  /** The images seen, if the name tells them to the last one. */
  readonly nimg?: number;
};

/** The name without its extension: `network-snapshot-0008388-0.100`. */
export function formatSnapshotName(prefix: string, nimg: number, sigmaRel: number): string {
  return `${prefix}-${String(Math.floor(nimg / 1000)).padStart(7, "0")}-${formatSigmaRel(sigmaRel)}`;
}

/**
 * A name for a second state within the same thousand of images, with the rest of them behind a point:
 * `network-snapshot-0000002.528-0.100`.
 */
export function formatExactSnapshotName(prefix: string, nimg: number, sigmaRel: number): string {
  const kimg = String(Math.floor(nimg / 1000)).padStart(7, "0");
  return `${prefix}-${kimg}.${String(nimg % 1000).padStart(3, "0")}-${formatSigmaRel(sigmaRel)}`;
}

/**
 * `0.050`, `0.0125`: at least three decimals, as many as it takes up to twelve.
 * @example console.log(formatSigmaRel(0.1)); // 0.1
 */
export function formatSigmaRel(sigmaRel: number): string {
  return sigmaRel.toFixed(12).replace(/(\.\d{3}\d*?)0+$/, "$1");
}

/** The parts of a name without its extension, or undefined if it is of another form. */
export function parseSnapshotName(name: string): SnapshotName | undefined {
  const match = /^(.+)-(\d+)(?:\.(\d{3}))?-(\d+\.\d+)$/.exec(name);
  if (match === null) return undefined;
  const [, prefix = "", kimg = "", rest, sigmaRel = ""] = match;
  const exact = rest === undefined ? {} : { nimg: 1000 * Number(kimg) + Number(rest) };
  return { prefix, kimg: Number(kimg), sigmaRel: Number(sigmaRel), ...exact };
}

/**
 * The images seen, from their thousands in the name of a file that doesn't say them exactly: the authors' program saves at
 * multiples of 1024 images only, and of those at most one has this integer part of n / 1000.
 * @throws EvenkeelError `value` if there is none.
 */
export function nimgFromKimg(kimg: number): number {
  const nimg = Math.ceil((kimg * 1000) / 1024) * 1024;
  if (Math.floor(nimg / 1000) === kimg) return nimg;
  throw new EvenkeelError(
    "value",
    `${kimg} thousand images: no multiple of 1024 lies in [${kimg * 1000}, ${kimg * 1000 + 999}], so how many images exactly ` +
      "is unknown. State the times in a schedule file.",
  );
}
