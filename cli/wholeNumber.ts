import { InvalidArgumentError } from "@commander-js/extra-typings";

/** A parser of whole numbers for the command line. @throws InvalidArgumentError which commander shows with the option's name. */
export function wholeNumberFrom(lowest: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= lowest) return value;
    throw new InvalidArgumentError(`wanted a whole number from ${lowest} on.`);
  };
}

/** Of numbers from 1 on: counts of what there must be one of. */
export const wholeNumber = wholeNumberFrom(1);
