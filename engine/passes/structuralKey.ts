import type { TensorData } from "../graph/dtype.ts";
import type { Node } from "../graph/node.ts";

const dataKeys = new WeakMap<TensorData, number>();
let nextDataKey = 0;

/** Arrays are told apart by identity: equal contents in two arrays are two constants. */
function dataKey(data: TensorData): number {
  const known = dataKeys.get(data);
  if (known !== undefined) return known;
  dataKeys.set(data, nextDataKey);
  return nextDataKey++;
}

/** A text equal for two nodes exactly if they are the same primitive with the same attributes on the same inputs. */
export function structuralKey(node: Node): string {
  const inputs = node.inputs.map((input) => input.id).join(",");
  const attributes = JSON.stringify(node.attributes, (key, value: unknown) => {
    if (key === "data") return dataKey(value as TensorData);
    // JSON knows neither -0 nor NaN nor infinities.
    return typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
      ? `number ${Object.is(value, -0) ? "-0" : value}`
      : value;
  });
  return node.kind === "input" ? `input ${node.id}` : `${node.kind} ${node.dtype} (${inputs}) ${attributes}`;
}
