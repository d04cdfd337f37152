import type { TensorData } from "../graph/dtype.ts";
import { loopCallKey } from "../graph/loops.ts";
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
  if (node.kind === "input") return `input ${node.id}`;
  if (node.kind === "loop") {
    const { result } = node.attributes;
    return `loop ${loopCallKey(node)} ${result.kind} ${result.kind === "any" ? result.node.id : result.index}`;
  }
  let key = `${node.kind} ${node.dtype} (`;
  for (const input of node.inputs) key += `${input.id},`;
  return `${key}) ${attributesText(node.attributes)}`;
}

/** Every compile asks it of thousands of nodes: JSON with a rule for some values would call back for each number. */
function attributesText(attributes: object): string {
  let text = "";
  for (const name of Object.keys(attributes)) {
    const value = (attributes as Readonly<Record<string, unknown>>)[name];
    text += `${name} ${name === "data" ? dataKey(value as TensorData) : valueText(value)};`;
  }
  return text;
}

function valueText(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) {
    let text = "[";
    for (const element of value as readonly unknown[]) text += `${valueText(element)},`;
    return `${text}]`;
  }
  if (typeof value === "object" && value !== null) return `{${attributesText(value)}}`;
  return JSON.stringify(value);
}
