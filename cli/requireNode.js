/**
 * What to say to somebody whose Node is too old; undefined if it isn't. Plain JavaScript, for it runs where nothing else of this would.
 * @param {string} version of Node, as `process.versions.node` has it
 * @param {string} range as `engines` of package.json names it: `^20.19.0 || >=22.12.0`
 */
export function nodeTooOld(version, range) {
  const [major, ...rest] = numbers(version);
  const isEnough = range.split("||").some((part) => {
    const [lowestMajor, ...lowest] = numbers(part);
    if (major !== lowestMajor) return !part.includes("^") && major > lowestMajor;
    const differing = lowest.findIndex((number, i) => number !== rest[i]);
    return differing < 0 || rest[differing] > lowest[differing];
  });
  return isEnough ? undefined : `evenkeel: needs Node ${nodeInWords(range)}; this is Node ${version}.`;
}

/** `20.19 or a later 20, or 22.12 or later`. */
export function nodeInWords(range) {
  const parts = range.split("||").map((part) => {
    const [major, minor] = numbers(part);
    return `${major}.${minor} or ${part.includes("^") ? `a later ${major}` : "later"}`;
  });
  return parts.join(", or ");
}

const numbers = (text) => text.match(/\d+/g).slice(0, 3).map(Number);
