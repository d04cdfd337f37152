import { EvenkeelError } from "../../engine/index.ts";

const factors: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/**
 * A number of images: `88000`, `88k`, `8Mi` (Ki, Mi and Gi are powers of 1024).
 * @throws EvenkeelError `value` for anything else, or a number that isn't whole.
 * @example console.log(parseImages("88k"), parseImages("8Mi")); // 88000 8388608
 */
export function parseImages(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?$/.exec(text.trim());
  const count = match === null ? Number.NaN : Number(match[1]) * (factors[match[2] ?? ""] ?? Number.NaN);
  if (Number.isSafeInteger(count)) return count;
  throw new EvenkeelError(
    "value",
    `${JSON.stringify(text)} is no number of images; expected one like 88000, 88k or 8Mi.`,
  );
}
