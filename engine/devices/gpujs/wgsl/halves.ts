/**
 * Arrays of 16-bit floats: four of them in two words, read one by one or all four, and written four at a time by one thread, so that no two
 * threads write to one word.
 */

/** How such an array is declared. */
export const fourHalves = "vec2<u32>";

/** Functions of the array `name`, by what they are called. */
export const halvesOf = (name: string) => ({
  element: (index: string): string => `${name}Element(${index})`,
  four: (number: string): string => `${name}Four(${number})`,
  store: (number: string, four: string): string => `${name}Store(${number}, ${four});`,
});

/**
 * The functions that read an array, and write it. WGSL's own conversions are right for what is stored: numbers that 16 bits hold exactly,
 * none of them subnormal. How it packs what isn't finite isn't promised: all is packed by its bits.
 */
export function halvesFunctions(name: string, isWritten: boolean): readonly string[] {
  const reading = [
    `fn ${name}Element(index: u32) -> f32 { return unpack2x16float(${name}[index / 4u][index / 2u % 2u])[index % 2u]; }`,
    `fn ${name}Four(number: u32) -> vec4f {`,
    `  let words = ${name}[number];`,
    "  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));",
    "}",
  ];
  if (!isWritten) return reading;
  return [
    ...reading,
    `fn ${name}Store(place: u32, four: vec4f) {`,
    "  let bits = bitcast<vec4u>(four);",
    "  let magnitude = bits & vec4u(0x7fffffffu);",
    // 127 - 15 less in the exponent. Of what isn't finite the exponent is all ones in either format, and NaN has its first bit.
    "  let number = select((magnitude >> vec4u(13u)) - vec4u(0x1c000u), vec4u(), magnitude == vec4u());",
    "  let isFinite = magnitude < vec4u(0x7f800000u);",
    "  let other = select(vec4u(0x7c00u), vec4u(0x7e00u), magnitude > vec4u(0x7f800000u));",
    "  let half = ((bits >> vec4u(16u)) & vec4u(0x8000u)) | select(other, number, isFinite);",
    `  ${name}[place] = half.xz | (half.yw << vec2u(16u));`,
    "}",
  ];
}
