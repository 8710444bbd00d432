/** Names longer than this are not compared. */
const lengthMax = 64

/** ` (did you mean X?)` when one of the names is close, otherwise nothing. */
export function didYouMean(given: string, names: Iterable<string>): string {
  const closest = closestName(given, names)
  return closest === undefined ? '' : ` (did you mean ${closest}?)`
}

/** A name that somebody wrote, fit to be shown: short and on one line. */
export function shownName(given: string): string {
  const plain = given.replace(/[^\x20-\x7e]/g, '?')
  return plain.length <= lengthMax ? plain : `${plain.slice(0, lengthMax)}...`
}

/** The name that differs least, letter case and `_` or `-` aside; `undefined` when none is near. */
function closestName(given: string, names: Iterable<string>): string | undefined {
  if (given.length > lengthMax) return undefined
  const wanted = squash(given)
  let closest: string | undefined
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const name of names) {
    const distance = distanceBetween(wanted, squash(name))
    if (distance < least) {
      closest = name
      least = distance
    }
  }
  return closest
}

/** Lower case, without `_` and `-`. */
export function squash(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '')
}

/** Characters of a beginning that counts as near the whole. */
const beginningMin = 4

function distanceBetween(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  const begins = shorter >= beginningMin && (a.startsWith(b) || b.startsWith(a))
  return begins ? 1 : editDistance(a, b)
}

/** Insertions, deletions, replacements and swaps of neighbours between two short texts. */
function editDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          (current[column - 1] ?? 0) + 1,
          (last[column] ?? 0) + 1,
          swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
