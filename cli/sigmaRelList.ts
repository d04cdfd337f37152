import { InvalidArgumentError } from "@commander-js/extra-typings";
import { maximumSigmaRel } from "../diffusion/ema/index.ts";

/**
 * Parses a list of sigma_rel: numbers with commas between them; `...` between an a,b and a c stands for the even grid
 * a, b, b + (b - a), up to c, as in `0.010,0.015,...,0.250`. In the order of the list; the same average twice is a mistake.
 * @throws InvalidArgumentError which commander shows with the option's name.
 */
export function parseSigmaRelList(text: string): number[] {
  const parts = text.split(",").map((part) => part.trim());
  const values = parts.flatMap((part, i) =>
    part === "..." ? expand(parts[i - 2], parts[i - 1], parts[i + 1]) : [parseSigmaRel(part)],
  );
  const repeated = values.find((value, i) => values.indexOf(value) !== i);
  if (repeated !== undefined) throw new InvalidArgumentError(`${repeated} is listed twice.`);
  return values;
}

function parseSigmaRel(text: string | undefined): number {
  const value = text === undefined || text === "" ? Number.NaN : Number(text);
  if (!(value > 0 && value <= maximumSigmaRel)) {
    throw new InvalidArgumentError(
      `"${text ?? ""}" is no sigma_rel: a number above 0 and up to ${maximumSigmaRel.toFixed(4)}.`,
    );
  }
  return value;
}

/** The values strictly between `last` and `end`. */
function expand(beforeLast: string | undefined, last: string | undefined, end: string | undefined): number[] {
  if ([beforeLast, last, end].some((part) => part === undefined || part === "...")) {
    throw new InvalidArgumentError('"..." stands between two numbers and one: 0.010,0.015,...,0.250');
  }
  const from = parseSigmaRel(last);
  const step = from - parseSigmaRel(beforeLast);
  const steps = (parseSigmaRel(end) - from) / step;
  // Decimals aren't exact in binary, so neither is the ratio; 1e-4 of a step is no mistake.
  const whole = Math.round(steps);
  if (!(whole >= 1 && Math.abs(whole - steps) <= 1e-4)) {
    throw new InvalidArgumentError(
      `${beforeLast ?? ""},${last ?? ""},...,${end ?? ""}: the last number is not a whole number of steps away.`,
    );
  }
  // Twelve digits take the noise off: 0.15 rather than 0.15000000000000002.
  return Array.from({ length: whole - 1 }, (_, i) => Number((from + step * (i + 1)).toPrecision(12)));
}
