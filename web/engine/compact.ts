const format = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** `1.23M`. */
export const compact = (value: number): string => format.format(value);
