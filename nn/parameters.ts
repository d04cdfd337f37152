import { EvenkeelError, foldIn, type Shape, type Tensor, randomNormal, randomUniform, zeros } from "../engine/index.ts";

/**
 * What an array of a network is: a `weight` is trained and, in some networks, normalized for each output;
 * a `gain` is a trained scalar; a `bias` and a `scale` are trained vectors that are never normalized; a `buffer` is drawn
 * once and stays.
 */
export type ParameterRole = "weight" | "gain" | "bias" | "scale" | "buffer";

/** How an array is drawn: normal with mean 0 and standard deviation `scale`, constant, or uniform from `low` to `high`. */
export type Initializer =
  | { readonly kind: "normal"; readonly scale: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number };

/** An array of a network before it has values. */
export type ParameterSpec = {
  readonly shape: Shape;
  readonly role: ParameterRole;
  readonly init: Initializer;
  /** Training sets it to unit magnitude for each output before every step. Absent: it doesn't. */
  readonly isForced?: true;
};

/** Arrays by their full names, e.g. `enc.16x16_block0.conv_res0.weight`. */
export type NamedParameters<Leaf = Tensor> = Readonly<Record<string, Leaf>>;

/** Draws every array of a network. Each depends on the key and its own place in the list alone. */
export function initializeParameters(specs: NamedParameters<ParameterSpec>, key: Tensor): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, init }], i) => [name, draw(foldIn(key, i), shape, init)]),
  );
}

function draw(key: Tensor, shape: Shape, init: Initializer): Tensor {
  switch (init.kind) {
    case "normal":
      return init.scale === 1 ? randomNormal(key, shape) : randomNormal(key, shape).multiply(init.scale);
    case "constant":
      return init.value === 0 ? zeros(shape) : zeros(shape).add(init.value);
    case "uniform":
      return randomUniform(key, shape, init.low, init.high);
  }
}

/** The number of trained values: buffers don't count. */
export function countParameters(specs: NamedParameters<ParameterSpec>): number {
  return Object.values(specs)
    .filter(({ role }) => role !== "buffer")
    .reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0);
}

/**
 * Checks that named arrays are those of a network. @throws EvenkeelError `shape` that names what is missing, too much or of another
 * shape.
 */
export function checkParameters(
  specs: NamedParameters<ParameterSpec>,
  given: ReadonlyMap<string, { readonly shape: Shape }>,
  source: string,
): void {
  const missing = Object.keys(specs).filter((name) => !given.has(name));
  const unknown = [...given.keys()].filter((name) => !Object.hasOwn(specs, name));
  const list = (names: readonly string[]): string =>
    names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  if (missing.length > 0 || unknown.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`lacks ${list(missing)}`] : []),
      ...(unknown.length > 0 ? [`has ${list(unknown)}, which the network doesn't`] : []),
    ];
    throw new EvenkeelError("shape", `${source} ${parts.join(" and ")}. Is it of another configuration?`);
  }
  for (const [name, { shape }] of Object.entries(specs)) {
    const got = given.get(name)?.shape ?? [];
    if (got.length !== shape.length || got.some((extent, axis) => extent !== shape[axis])) {
      throw new EvenkeelError(
        "shape",
        `${source}: ${name} is [${got.join(", ")}], expected [${shape.join(", ")}]. Is it of another configuration?`,
      );
    }
  }
}
