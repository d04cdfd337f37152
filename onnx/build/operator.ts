/** What an operator is: since which version of ONNX's operators, with which attributes, and how it is made of ours. */
import type { AttributeReaders, AttributesOf } from "./attributes.ts";
import type { NodeCall, Result } from "./nodeCall.ts";

/** One version of an operator; it holds until the next one. */
export type Operator = {
  /** The first version of ONNX's operators (`opset`) in which it is as it is here. */
  readonly since: number;
  readonly attributes: AttributeReaders;
  /** Places of inputs whose numbers must be known, as shapes depend on them. */
  readonly numbers: readonly number[];
  /**
   * Inputs of which elements are only moved and nothing else makes the results: constants keep their type then, as they are worked out on
   * the host, 64-bit integers and texts too.
   */
  readonly moves: readonly number[] | "all";
  /** Only the shapes of its inputs are looked at. */
  readonly readsShapes: boolean;
  /** Results of 8 and 16 bits wrap. */
  readonly wraps: boolean;
  /** The operation that the engine lacks, where results are put together in a way that costs more than it would. */
  readonly roundabout: string | undefined;
  readonly build: (call: NodeCall, attributes: { readonly [name: string]: unknown }) => Result | readonly Result[];
};

type Description<A extends AttributeReaders> = Partial<Omit<Operator, "attributes" | "build">> & {
  /** Default 1. */
  readonly since?: number;
  readonly attributes?: A;
  readonly build: (call: NodeCall, attributes: AttributesOf<A>) => Result | readonly Result[];
};

/** An operator, of which what isn't said is: without attributes, without inputs that shapes depend on, since version 1. */
export function operator<A extends AttributeReaders>(description: Description<A>): Operator {
  return {
    since: 1,
    numbers: [],
    moves: [],
    readsShapes: false,
    wraps: false,
    roundabout: undefined,
    ...description,
    attributes: description.attributes ?? {},
    // The builder gives what the readers of this very description have read.
    build: description.build as Operator["build"],
  };
}

/** Operators by name: their versions, from the first to the last. Those of other domains are called `domain.Name`. */
export type OperatorTable = { readonly [name: string]: Operator | readonly Operator[] };
