/** All operators, by family, and how the right version of one is found. */
import { EvenkeelError } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import { placeOf } from "../build/nodeCall.ts";
import type { Operator, OperatorTable } from "../build/operator.ts";
import type { OnnxNode } from "../format/model.ts";
import { activations } from "./activations.ts";
import { arithmetic } from "./arithmetic.ts";
import { casts } from "./casts.ts";
import { constants } from "./constants.ts";
import { controls } from "./control.ts";
import { convolutions } from "./convolutions.ts";
import { fouriers } from "./fourier.ts";
import { indexing } from "./indexing.ts";
import { logic } from "./logic.ts";
import { losses } from "./losses.ts";
import { normalizations } from "./normalizations.ts";
import { trainings } from "./training.ts";
import { pools } from "./pools.ts";
import { products } from "./products.ts";
import { quantizations } from "./quantization.ts";
import { recurrents } from "./recurrent.ts";
import { reductions } from "./reductions.ts";
import { resizes } from "./resize.ts";
import { samplings } from "./sampling.ts";
import { sequences } from "./sequences.ts";
import { shapes } from "./shapes.ts";
import { termFrequencyOperators } from "./termFrequencies.ts";

export const operators: OperatorTable = {
  ...arithmetic,
  ...logic,
  ...casts,
  ...activations,
  ...shapes,
  ...indexing,
  ...constants,
  ...reductions,
  ...normalizations,
  ...products,
  ...convolutions,
  ...pools,
  ...resizes,
  ...samplings,
  ...fouriers,
  ...recurrents,
  ...losses,
  ...trainings,
  ...quantizations,
  ...termFrequencyOperators,
  ...sequences,
  ...controls,
};

/** Why operators can't be here. */
const reasons: { readonly [name: string]: string } = {
  Bernoulli: "draws random numbers",
  RandomNormal: "draws random numbers",
  RandomNormalLike: "draws random numbers",
  RandomUniform: "draws random numbers",
  RandomUniformLike: "draws random numbers",
  Multinomial: "draws random numbers",
  NonMaxSuppression: "has a result whose shape depends on data",
  StringNormalizer: "is about texts",
  Optional: "is about optional values",
  OptionalGetElement: "is about optional values",
  OptionalHasElement: "is about optional values",
};

/** An operator's name for messages, and why it isn't known where that has a reason. */
export function describeUnknown(node: OnnxNode): string {
  const name = fullName(node);
  const reason = Object.hasOwn(reasons, name) ? reasons[name] : undefined;
  return reason === undefined ? quoteText(name) : `${quoteText(name)} (${reason})`;
}

/** The newest version of ONNX's operators (`opset`) whose changes are known here. */
export const newestOpset = 22;

const fullName = ({ operator, domain }: OnnxNode): string => (domain === "" ? operator : `${domain}.${operator}`);

/** The operator of a node in the version that the model asks for; undefined if it isn't known. */
export function findOperator(node: OnnxNode, opsets: ReadonlyMap<string, number>): Operator | undefined {
  const name = fullName(node);
  const found = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (found === undefined) return undefined;
  const version = opsets.get(node.domain);
  if (version === undefined) {
    const domain = node.domain === "" ? "ONNX" : quoteText(node.domain);
    throw new EvenkeelError(
      "file",
      `${placeOf(node)}: the model doesn't say which version of ${domain}'s operators it uses.`,
    );
  }
  const versions: readonly Operator[] = Array.isArray(found) ? (found as readonly Operator[]) : [found as Operator];
  return versions.findLast(({ since }) => since <= version);
}

/** The operator of a node. @throws EvenkeelError `value` if it isn't known, or not yet in that version. */
export function operatorOf(node: OnnxNode, opsets: ReadonlyMap<string, number>): Operator {
  const found = findOperator(node, opsets);
  if (found !== undefined) return found;
  throw new EvenkeelError(
    "value",
    `${placeOf(node)}: this operator is not known in version ${opsets.get(node.domain) ?? "?"}. Export the model with another opset, or ` +
      "without it.",
  );
}

/** A node's attributes, by name. @throws EvenkeelError `value` for one that is missing, wrong, or not known. */
export function readAttributes(node: OnnxNode, operator: Operator): { readonly [name: string]: unknown } {
  for (const name of node.attributes.keys()) {
    if (!Object.hasOwn(operator.attributes, name)) {
      throw new EvenkeelError(
        "value",
        `${placeOf(node)}: attribute ${quoteText(name)} is not known in this version of the operator, so what it does would be missed.`,
      );
    }
  }
  return Object.fromEntries(
    Object.entries(operator.attributes).map(([name, reader]) => {
      const refuse = (problem: string): never => {
        throw new EvenkeelError("value", `${placeOf(node)}: attribute ${name} ${problem}.`);
      };
      return [name, reader.read(node.attributes.get(name), refuse)];
    }),
  );
}
