/**
 * Begins work on keys that nobody else works on; what others began first comes first.
 *
 * @param begin called in the same turn in which the keys were found free
 */
export async function inTurn<T>(
  taken: Map<string, Promise<unknown>>,
  keys: readonly string[],
  begin: () => Promise<T>,
): Promise<T> {
  for (;;) {
    const under = keys.map((key) => taken.get(key)).find((one) => one !== undefined)
    if (under === undefined) break
    await under
  }
  const outcome = begin()
  const settled = outcome.then(
    () => undefined,
    // Whoever waits for the key looks for itself.
    () => undefined,
  )
  for (const key of keys) taken.set(key, settled)
  try {
    return await outcome
  } finally {
    for (const key of keys) taken.delete(key)
  }
}
