const format = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** `1.23M`. */
export const compact = (value: number): string => format.format(value);

/** Lines that the engine tells, without the mark of a heading that they begin with in a long text. */
export const heading = (lines: readonly string[]): string => lines.join("\n").replace(/^== /, "");
