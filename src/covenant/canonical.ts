/**
 * Canonical JSON, the form whose bytes are hashed (covenant signer specification, section 5): no white
 * space, keys in table order, map keys by UTF-8 bytes. The order of keys stands in request-fields.ts.
 */

/** ASCII without control characters, quotes and backslashes: nearly every text of a request. */
const needsNoEscape = /^[ !#-[\]-~]*$/

/**
 * Writes text as JSON.stringify does, but U+2028 and U+2029 escaped and lone surrogates as U+FFFD.
 * `<`, `>` and `&` stay as they are.
 */
export function canonicalText(text: string): string {
  if (needsNoEscape.test(text)) return `"${text}"`
  const quoted = JSON.stringify(wellFormed(text))
  if (!/[\u2028\u2029]/.test(quoted)) return quoted
  return quoted.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}

/** Replaces each surrogate without partner by U+FFFD. */
export function wellFormed(text: string): string {
  return /[\ud800-\udfff]/.test(text) ? text.replace(/\p{Surrogate}/gu, '\ufffd') : text
}

/** Entries in the order of their keys' UTF-8 bytes, which is not the order of UTF-16 units. */
export function sortedByUtf8<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  const keyed = [...map].map((entry) => ({ entry, bytes: new Uint8Array(Buffer.from(entry[0])) }))
  keyed.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
  return keyed.map(({ entry }) => entry)
}
