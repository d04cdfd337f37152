/** The helper functions that generated kernels may call, as gpu.js takes them. */
import type { HelperFunction } from "../kernelSource.ts";
import { exponentialHelpers } from "./exponentialHelpers.ts";
import { integerHelpers } from "./integerHelpers.ts";
import { trigonometricHelpers } from "./trigonometricHelpers.ts";

/** What a helper is: its parameters, what it returns, its statements, and the helpers that these call. */
export type HelperDefinition = {
  readonly parameters: readonly string[];
  readonly returnType: "Number" | "Integer" | "Array(2)" | "Array(4)";
  /** Statements; a parameter is never assigned to (WGSL's are constants). */
  readonly body: () => string;
  readonly uses: readonly string[];
};

const definitions = {
  ...integerHelpers,
  ...exponentialHelpers,
  ...trigonometricHelpers,
} as const satisfies Readonly<Record<string, HelperDefinition>>;

export type HelperName = keyof typeof definitions;

function isHelperName(name: string): name is HelperName {
  return Object.hasOwn(definitions, name);
}

/** `names` and all that they call, every helper after those it calls itself. */
export function helpersUsedBy(names: Iterable<HelperName>): HelperName[] {
  const ordered = new Set<HelperName>();
  const visit = (name: string): void => {
    if (!isHelperName(name)) throw new RangeError(`no helper function named ${name}`);
    if (ordered.has(name)) return;
    definitions[name].uses.forEach(visit);
    ordered.add(name);
  };
  for (const name of names) visit(name);
  return [...ordered];
}

const built = new Map<HelperName, HelperFunction>();

export function helperFunction(name: HelperName): HelperFunction {
  const known = built.get(name);
  if (known !== undefined) return known;
  const { parameters, returnType, body }: HelperDefinition = definitions[name];
  const helper: HelperFunction = {
    name,
    source: `function ${name}(${parameters.join(", ")}) {\n${body()}\n}`,
    argumentTypes: parameters.map(() => "Number"),
    returnType,
  };
  built.set(name, helper);
  return helper;
}
