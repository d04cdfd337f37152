/** Sums of products in twice the working precision, from float64 operations alone (Ogita, Rump and Oishi 2005, "Dot2"). */

/** Splits a float64 into two halves of 26 bits (Dekker, Veltkamp). */
const splitter = 2 ** 27 + 1;

/** Collects a sum of products with about 106 bits; `value` is that sum rounded once, unless it cancels to 1e-16 of its terms. */
export class ExactDot {
  #sum = 0;
  #error = 0;

  /** Adds `a * b`. Factors beyond 1e290 overflow. */
  add(a: number, b: number): this {
    const product = a * b;
    const aHigh = splitter * a - (splitter * a - a);
    const bHigh = splitter * b - (splitter * b - b);
    const aLow = a - aHigh;
    const bLow = b - bHigh;
    const productError = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
    const sum = this.#sum + product;
    const before = sum - this.#sum;
    this.#error += this.#sum - (sum - before) + (product - before) + productError;
    this.#sum = sum;
    return this;
  }

  get value(): number {
    return this.#sum + this.#error;
  }
}
