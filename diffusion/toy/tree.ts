import { createMixture, type Mixture } from "./mixture.ts";
import { RandomState } from "./randomState.ts";

/** Which of the two trees: one, or both together. */
export type ToyClass = "A" | "B" | "AB";

/** The two branches of the tree, and both together. */
export const toyClasses: readonly ToyClass[] = ["A", "B", "AB"];

/** Standard deviation of the data along each axis. */
export const toySigmaData = 0.5;

/** What the published data are made of: seed, root of both trees, and the factors that give standard deviation 0.5. */
const seed = 2;
const root: Point = [0.003, 0.0325];
const scale: Point = [1.3136, 1.3844];
const depths = 7;
const componentsPerBranch = 8;

type Point = readonly [number, number];
type Component = { readonly weight: number; readonly mean: Point; readonly covariance: readonly number[] };

/**
 * The toy data of Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself": each class a binary tree whose
 * 127 branches are rows of 8 narrow Gaussians, thinner and lighter with each fork. Mean 0 and standard deviation 0.5 along each
 * axis over both classes.
 * @example console.log(growToyMixture("A").weights.length); // 1016
 */
export function growToyMixture(cls: ToyClass): Mixture {
  const random = new RandomState(seed);
  // One stream of random numbers for both: B's begin where A's end.
  const a = growBranch(random, 0, root, Math.PI * 0.25);
  const b = growBranch(random, 0, root, Math.PI * 1.25);
  switch (cls) {
    case "A":
      return mixtureOf(a);
    case "B":
      return mixtureOf(b);
    case "AB":
      return mixtureOf([...a, ...b]);
  }
}

function mixtureOf(components: readonly Component[]): Mixture {
  const total = components.reduce((sum, { weight }) => sum + weight, 0);
  return createMixture(
    Float64Array.from(components, ({ weight }) => weight / total),
    Float64Array.from(components.flatMap(({ mean }) => mean)),
    Float64Array.from(components.flatMap(({ covariance }) => covariance)),
  );
}

/** A branch and all that grows from its end, depth first. */
function growBranch(random: RandomState, depth: number, start: Point, angle: number): Component[] {
  if (depth >= depths) return [];
  const thinning = 0.8 ** depth;
  const length = 0.292 * thinning * (1 + 0.2 * random.normal());
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const at = (distance: number): Point => [start[0] + cos * distance, start[1] + sin * distance];
  // Standard deviations along the branch, and across it relative to that.
  const along = 0.06 * length;
  const across = ((0.2 * thinning) / length) ** 2;
  const [sx, sy] = [scale[0] * along, scale[1] * along];
  const mixed = (1 - across) * cos * sin * sx * sy;
  const covariance = [
    (cos * cos + across * sin * sin) * sx * sx,
    mixed,
    mixed,
    (sin * sin + across * cos * cos) * sy * sy,
  ];
  const components = Array.from({ length: componentsPerBranch }, (_, i): Component => {
    const [x, y] = at(length * (0.07 + (0.86 * i) / (componentsPerBranch - 1)));
    return { weight: length * 0.5 ** depth, mean: [x * scale[0], y * scale[1]], covariance };
  });
  for (const side of [1, -1]) {
    const turn = side * 0.7 ** depth * (1 + 0.2 * random.normal());
    components.push(...growBranch(random, depth + 1, at(length), angle + turn));
  }
  return components;
}
