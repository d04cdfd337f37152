/** Conformance: this program's numbers against those of the published implementation, in files; only for Node. */
export type { CheckClass, Deviation } from "./checks.ts";
export {
  type FileReport,
  verifyFolder,
  type VerifyOptions,
  type VerifyReport,
  type VerifyStatus,
} from "./verifyFolder.ts";
