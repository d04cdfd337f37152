/** Body of fmod. */
import { infinityBits, nanBits } from "./numerals.ts";

/**
 * |x| = mx 2^ex and |y| = my 2^ey with whole mx and my below 2^24: mx 2^(ex - ey) modulo my, eight bits at a time. Numbers are read
 * by their bits, which are right for those that arithmetic takes for 0, too. If ex < ey then |x| < |y|.
 */
export function remainderOfMantissas(): string {
  return `
  let bitsX = bitcast<u32>(x) & 0x7fffffffu;
  let bitsY = bitcast<u32>(y) & 0x7fffffffu;
  if (bitsX >= ${infinityBits} || bitsY > ${infinityBits} || bitsY == 0u) { return fromBits1(${nanBits}); }
  let exponentX = max(bitsX >> 23u, 1u);
  let exponentY = max(bitsY >> 23u, 1u);
  if (bitsY == ${infinityBits} || exponentX < exponentY) { return x; }
  let mantissaX = (bitsX & 0x7fffffu) | select(0u, 0x800000u, bitsX >= 0x800000u);
  let mantissaY = (bitsY & 0x7fffffu) | select(0u, 0x800000u, bitsY >= 0x800000u);
  var rest = mantissaX % mantissaY;
  var left = exponentX - exponentY;
  while (left > 0u && rest > 0u) {
    let shift = min(left, 8u);
    rest = (rest << shift) % mantissaY;
    left -= shift;
  }
  let exponent = i32(exponentY) - 150;
  let half = exponent >> 1u;
  let one = bitcast<f32>((half + 127) << 23u);
  let other = bitcast<f32>((exponent - half + 127) << 23u);
  return bitcast<f32>(bitcast<u32>(f32(rest) * one * other) | (bitcast<u32>(x) & 0x80000000u));`;
}
