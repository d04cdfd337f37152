/**
 * Polynomials that devices share, as coefficients of rising powers. Minimax (Remez exchange, each coefficient rounded to float32 before the
 * next is fitted), own computation.
 */

/** (atan(x) / x - 1) / x^2 in powers of x^2 for |x| <= 1: relative error of atan 2^-28. */
export const atanCoefficients = [
  -0.33333298563957214, 0.1999852955341339, -0.14264015853405, 0.10950881242752075, -0.0839930847287178,
  0.057881344109773636, -0.031096752732992172, 0.010868389159440994, -0.0017826969269663095,
];

/** pi / 2 in two parts, of which the first is a float32. */
export const halfPiHigh = Math.fround(Math.PI / 2);
export const halfPiLow = Math.PI / 2 - halfPiHigh;

/** erf(x) / x - 1 in powers of x^2 for |x| < `erfSplit`: relative error of erf 2^-29. */
export const erfNearCoefficients = [
  0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026, 0.005187162198126316,
  -0.0007997853099368513, 7.806903886375949e-5,
];
export const erfSplit = 1;

/** -ln(1 - erf(x)) in powers of x from `erfSplit` to `erfSaturation`: error of erf 2^-29. */
export const erfFarCoefficients = [
  0.00035371995181776583, 1.1270400285720825, 0.6382256746292114, 0.10303739458322525, -0.02180534414947033,
  0.0029396172612905502, -0.0001855753653217107,
];
/** erf(4) is 1 in float32. */
export const erfSaturation = 4;
