/** What gpu.js needs on webgl2 beside a kernel's own helper functions. */
import type { HelperFunction } from "./kernelSource.ts";

const glslTypes: Readonly<Record<string, string>> = {
  Number: "float",
  Integer: "int",
  "Array(2)": "vec2",
  "Array(4)": "vec4",
};

function glslType(type: string): string {
  const known = glslTypes[type];
  if (known === undefined) throw new RangeError(`no GLSL type for ${type}`);
  return known;
}

/**
 * Declarations of the helpers. gpu.js orders functions wrongly where two call a third that calls a fourth, and GLSL
 * wants a function declared before it is called.
 */
export function glslPrototypes(helpers: readonly HelperFunction[]): string {
  return helpers
    .map(
      ({ name, argumentTypes, returnType }) =>
        `${glslType(returnType)} ${name}(${argumentTypes.map(glslType).join(", ")});`,
    )
    .join("\n");
}

const operators: Readonly<Record<string, string>> = { andHalves: "&", orHalves: "|", xorHalves: "^" };

/**
 * GLSL for the helpers of bitwise operators: gpu.js has them loop over the bits, and a driver may take minutes to
 * compile the hundred such loops that one Threefry has.
 */
export function glslFunctions(
  helpers: readonly HelperFunction[],
): { readonly name: string; readonly source: string }[] {
  return helpers.flatMap(({ name }) => {
    const operator = operators[name];
    if (operator === undefined) return [];
    return [{ name, source: `float ${name}(float x, float y) { return float(int(x) ${operator} int(y)); }` }];
  });
}
