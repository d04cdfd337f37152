/** Comparisons, truth values, choices. */
import {
  and,
  equal,
  greater,
  greaterEqual,
  isFinite,
  isNaN,
  less,
  lessEqual,
  not,
  or as either,
  where,
  xor,
  zeros,
} from "../../engine/index.ts";
import { flag } from "../build/attributes.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { ofTwo } from "./legacyBroadcast.ts";

export const logic: OperatorTable = {
  Not: operator({ build: (call) => not(call.tensor(0)) }),
  And: ofTwo(and),
  Or: ofTwo(either),
  Xor: ofTwo(xor),
  BitwiseNot: operator({ since: 18, wraps: true, build: (call) => not(call.tensor(0)) }),
  BitwiseAnd: operator({ since: 18, build: (call) => and(call.tensor(0), call.tensor(1)) }),
  BitwiseOr: operator({ since: 18, build: (call) => either(call.tensor(0), call.tensor(1)) }),
  BitwiseXor: operator({ since: 18, build: (call) => xor(call.tensor(0), call.tensor(1)) }),
  Equal: ofTwo(equal),
  Less: ofTwo(less),
  Greater: ofTwo(greater),
  LessOrEqual: operator({ since: 12, build: (call) => lessEqual(call.tensor(0), call.tensor(1)) }),
  GreaterOrEqual: operator({ since: 12, build: (call) => greaterEqual(call.tensor(0), call.tensor(1)) }),
  Where: operator({
    since: 9,
    moves: [1, 2],
    build: (call) => where(call.tensor(0), call.tensor(1), call.tensor(2)),
  }),
  IsNaN: operator({ since: 9, build: (call) => isNaN(call.tensor(0)) }),
  IsInf: operator({
    since: 10,
    attributes: { detect_positive: flag(true), detect_negative: flag(true) },
    build: (call, { detect_positive: positive, detect_negative: negative }) => {
      const x = call.tensor(0);
      const signs = [...(positive ? [greater(x, 0)] : []), ...(negative ? [less(x, 0)] : [])];
      const isWanted = signs.reduce(either, zeros(x.shape, "bool"));
      return and(isWanted, not(either(isFinite(x), isNaN(x))));
    },
  }),
};
