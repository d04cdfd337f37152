/** The helper functions that generated kernels may call, as gpu.js takes them. */
import type { HelperFunction } from "../kernelSource.ts";
import type { HelperDefinition, HelperName } from "./helperDefinition.ts";
import { divisionHelpers } from "./divisionHelpers.ts";
import { exponentialHelpers } from "./exponentialHelpers.ts";
import { integerHelpers } from "./integerHelpers.ts";
import { trigonometricHelpers } from "./trigonometricHelpers.ts";

const definitions: Readonly<Record<HelperName, HelperDefinition>> = {
  ...integerHelpers,
  ...divisionHelpers,
  ...exponentialHelpers,
  ...trigonometricHelpers,
};

/** `names` and all that they call, every helper after those it calls itself. */
export function helpersUsedBy(names: Iterable<HelperName>): HelperName[] {
  const ordered = new Set<HelperName>();
  const visit = (name: HelperName): void => {
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
  const { parameters, returnType, body } = definitions[name];
  const helper: HelperFunction = {
    name,
    source: `function ${name}(${parameters.join(", ")}) {\n${body()}\n}`,
    argumentTypes: parameters.map(() => "Number"),
    returnType,
  };
  built.set(name, helper);
  return helper;
}
