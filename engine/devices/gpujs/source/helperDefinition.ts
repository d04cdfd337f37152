/** What the helper functions are that generated kernels may call. */

export type HelperName =
  | "whole"
  | "andHalves"
  | "orHalves"
  | "xorHalves"
  | "multiplyLow"
  | "multiplyHigh"
  | "divideHalves"
  | "floatRemainder"
  | "threefry"
  | "nearestFloat16"
  | "overflow"
  | "undefinedNumber"
  | "scaleByPowerOfTwo"
  | "exponential"
  | "twiceAreaTangent"
  | "logarithmParts"
  | "logarithm"
  | "logarithmOfOnePlus"
  | "exponentialMinusOne"
  | "hyperbolicTangent"
  | "logistic"
  | "errorFunction"
  | "powerOfPositive"
  | "powerOf"
  | "powerOfDoubles"
  | "reducedLargeAngle"
  | "reducedAngle"
  | "sine"
  | "cosine"
  | "arctangent";

/** What a helper is: its parameters, what it returns, its statements, and the helpers that these call. */
export type HelperDefinition = {
  readonly parameters: readonly string[];
  readonly returnType: "Number" | "Integer" | "Array(2)" | "Array(4)";
  /** Statements; a parameter is never assigned to (WGSL's are constants). */
  readonly body: () => string;
  readonly uses: readonly HelperName[];
};

/** Statements of a helper function from an indented template: common indentation and blank lines removed. */
export function helperStatements(template: string): () => string {
  const lines = template.split("\n").filter((line) => line.trim() !== "");
  const indentation = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  return () => lines.map((line) => `  ${line.slice(indentation)}`).join("\n");
}
