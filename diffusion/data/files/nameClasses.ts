/** Characters of a file's name on common systems. Archives may have longer ones, which take long to look through. */
const longestName = 255;

/**
 * The classes that the names of images tell, as those of `cat.0.jpg`, `dog_12.png` and `cat (3).jpg` do: what stands before the last number.
 * @returns a class for each image; null where there is no number or nothing before it.
 */
export function nameClasses(images: readonly string[]): readonly (string | null)[] {
  return images.map((image) => {
    const stem = image.slice(image.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
    if (stem.length > longestName) return null;
    const [, before = ""] = /^(.*?)[\s._-]*(?:\(\d+\)|\d+)$/su.exec(stem) ?? [];
    return /\p{L}/u.test(before) ? before.normalize("NFC") : null;
  });
}

/** Words of cameras, programs and people that say nothing of what a picture shows. */
const emptyWords =
  /^(\p{L}|img|image|images|dsc[nf]?|pict?|picture|photo|foto|bild|scan|screenshot|screen shot|frame|file|sample|untitled|unnamed|download|train|test|val|pxl|mvimg|vid|video|wp|p|crop|seed|page|slide|figure|fig|output|out|result|tile|patch)[\s._\d-]*$/iu;

/**
 * Classes that names seem to tell, with how many images each has, such as `cat (12)`: of two or more, most images have one and each class
 * several images. None otherwise.
 */
export function likelyNameClasses(images: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const name of nameClasses(images)) if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
  const likely = [...counts].filter(([name, count]) => count > 1 && !emptyWords.test(name));
  const covered = likely.reduce((sum, [, count]) => sum + count, 0);
  if (likely.length < 2 || covered * 10 < images.length * 8) return [];
  return likely.sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} (${count})`);
}
