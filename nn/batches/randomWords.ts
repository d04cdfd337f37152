/**
 * 32 random bits at each call, from four words of a seed: the generator sfc32 of PractRand (Doty-Humphrey), a counter beside three words
 * that are mixed, after 20 rounds that mix the seed.
 */
export function randomWords([a, b, c, d]: readonly [number, number, number, number]): () => number {
  let [x, y, z, counter] = [a | 0, b | 0, c | 0, d | 0];
  const next = (): number => {
    const sum = (x + y + counter) | 0;
    counter = (counter + 1) | 0;
    x = y ^ (y >>> 9);
    y = (z + (z << 3)) | 0;
    z = (((z << 21) | (z >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 20; i++) next();
  return next;
}
