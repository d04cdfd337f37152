import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import { type HeaderForm, imagesSeen, parseHeader } from "../fileHeader.ts";
import { type AveragingProfile, exponentialProfile, powerProfile } from "./profile.ts";
import type { PostHocFit } from "./postHoc.ts";

/** What an averaged snapshot says of itself; there is more, which is kept as it is. */
const averageSchema = z.looseObject({
  nimg: imagesSeen,
  /** Null for raw weights. */
  sigmaRel: z.number().positive().nullish(),
  halfLife: z.number().positive().optional(),
  postHoc: z.unknown().optional(),
  network: z.unknown().optional(),
});

export type AverageMetadata = z.infer<typeof averageSchema>;

const header: HeaderForm<AverageMetadata> = {
  kinds: ["snapshot", "average"],
  version: 1,
  isOptional: true,
  schema: averageSchema,
};

/**
 * What the metadata of a snapshot says, or undefined if it isn't one of Evenkeel's.
 * @throws EvenkeelError `file` if it is damaged, or of another kind.
 */
export function readAverageMetadata(file: string, metadata: ReadonlyMap<string, string>): AverageMetadata | undefined {
  const text = metadata.get("evenkeel");
  return text === undefined ? undefined : parseHeader(text, header, file);
}

/** The metadata of a post-hoc average: those of the last snapshot, with its own profile and how it was made. */
export function postHocMetadata(
  last: ReadonlyMap<string, string>,
  stored: readonly AveragingProfile[],
  fit: PostHocFit,
  normalized: boolean,
): ReadonlyMap<string, string> {
  const { wanted, coefficients, relativeError } = fit;
  const previous = readAverageMetadata("the last snapshot", last) ?? { version: 1, kind: "average" };
  const { sigmaRel: _sigmaRel, halfLife: _halfLife, ...rest } = previous as AverageMetadata;
  const described = {
    ...rest,
    ...profileFields(wanted),
    postHoc: {
      relativeError,
      normalized,
      stored: stored
        .map((profile, i) => ({ ...profileFields(profile), coefficient: coefficients[i] ?? 0 }))
        .filter(({ nimg }) => nimg <= wanted.nimg),
    },
  };
  return new Map([...last, ["format", "pt"], ["evenkeel", JSON.stringify(described)]]);
}

/** A profile as files and tables spell it. */
export type ProfileFields = { nimg: number } & ({ sigmaRel: number } | { halfLife: number });

/**
 * A profile as it is spelt in files.
 * @example console.log(profileFields(powerProfile(1000, 0.1)), profileFields(exponentialProfile(1000, 50))); // { nimg: 1000, sigmaRel: 0.1 } { nimg: 1000, halfLife: 50 }
 */
export function profileFields(profile: AveragingProfile): ProfileFields {
  const { nimg } = profile;
  return profile.kind === "power" ? { nimg, sigmaRel: profile.sigmaRel } : { nimg, halfLife: profile.halfLife };
}

/** @throws EvenkeelError `file` unless exactly one of the widths is given, or if the profile is invalid. */
export function profileFromFields(
  where: string,
  fields: {
    readonly nimg: number;
    readonly sigmaRel?: number | null | undefined;
    readonly halfLife?: number | undefined;
  },
): AveragingProfile {
  const { nimg, sigmaRel, halfLife } = fields;
  const isPower = typeof sigmaRel === "number";
  if (isPower === (halfLife !== undefined)) {
    throw new EvenkeelError("file", `${where}: wanted either sigma_rel (power function) or half_life (exponential).`);
  }
  try {
    return isPower ? powerProfile(nimg, sigmaRel) : exponentialProfile(nimg, halfLife ?? Number.NaN);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${where}: ${cause.message}`, { cause });
  }
}
