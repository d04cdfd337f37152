import { add, multiply, type Tensor } from "../../engine/index.ts";
import { orthogonalize } from "./orthogonalize.ts";

/** Options of Muon. */
export type MuonOptions = {
  /** Share of the velocity that is kept. Default 0.95. */
  readonly momentum?: number;
  /** Looks ahead by one step of the velocity. Default: true. */
  readonly isNesterov?: boolean;
};

/** How far a step of rate 1 moves a matrix, and what is remembered. */
export type MatrixMove = { readonly update: Tensor; readonly velocity: Tensor };

/**
 * What Muon (Jordan 2024) takes from a matrix in a step of rate 1: the orthogonalized velocity, times 0.2 sqrt(max(rows, columns)), so that its
 * root mean square is about that of Adam's steps and rates carry over (Liu et al. 2025, arXiv 2502.16982).
 * @param gradient [rows, ...], seen as a matrix of as many rows.
 * @param velocity of the gradient's shape: zeros at first.
 */
export function muonMove(
  gradient: Tensor,
  velocity: Tensor,
  { momentum = 0.95, isNesterov = true }: MuonOptions = {},
): MatrixMove {
  const moving = add(multiply(velocity, momentum), gradient);
  const direction = orthogonalize(isNesterov ? add(multiply(moving, momentum), gradient) : moving);
  const rows = gradient.shape[0] ?? 1;
  const scale = 0.2 * Math.sqrt(Math.max(rows, gradient.size / rows));
  return { update: multiply(direction, scale), velocity: moving };
}
