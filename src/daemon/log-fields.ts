/** What stands for a secret. */
const hidden = '[hidden]'
/** Characters of one text. */
const textMax = 2000
const itemsMax = 50
const depthMax = 4
const causesMax = 5

/** Names of fields that hold secrets, or what clients sent. */
const secretName =
  /^(.*token|.*secrets?|.*passwords?|.*passphrases?|authorization|body|cookie|set-cookie|.*mnemonic|phrase|words|.*seed|.*privateKeys?|request|.*signatures?|typedKey)$/i

/** Makes what is logged fit to be shown: no secrets, nothing long, everything JSON has a word for. */
export interface FieldCleaner {
  fields(fields: Readonly<Record<string, unknown>>): Record<string, unknown>
  text(text: string): string
  /** Hides one more text from now on. */
  hide(secret: string): void
}

/** @param secrets texts that are hidden wherever they turn up */
export function createFieldCleaner(secrets: readonly string[]): FieldCleaner {
  let wanted: readonly string[] = []

  function hide(secret: string): void {
    const told = secret.trim()
    if (told === '') return
    // A token may be a part of another: the longest goes first.
    wanted = [...new Set([...wanted, told])].sort((a, b) => b.length - a.length)
  }
  for (const secret of secrets) hide(secret)

  function text(given: string): string {
    let shown = given
    for (const secret of wanted) shown = shown.replaceAll(secret, hidden)
    return shown.length <= textMax ? shown : `${shown.slice(0, textMax)}...`
  }

  function value(given: unknown, depth: number): unknown {
    switch (typeof given) {
      case 'string':
        return text(given)
      case 'bigint':
        return given.toString()
      case 'object':
        return object(given, depth)
      case 'function':
      case 'symbol':
        return undefined
      default:
        return given
    }
  }

  function object(given: object | null, depth: number): unknown {
    if (given === null) return null
    if (given instanceof Error) return text(describeCauses(given))
    if (ArrayBuffer.isView(given)) return `[${given.byteLength} bytes]`
    if (depth >= depthMax) return '[...]'
    if (Array.isArray(given)) return given.slice(0, itemsMax).map((one) => value(one, depth + 1))
    return entries(given, depth + 1)
  }

  function entries(given: object, depth: number): Record<string, unknown> {
    const shown = Object.entries(given).slice(0, itemsMax)
    return Object.fromEntries(
      shown.map(([name, one]) => [name, secretName.test(name) ? hidden : value(one, depth)]),
    )
  }

  return { fields: (fields) => entries(fields, 0), text, hide }
}

/** An error and its causes in one line. */
export function describeCauses(error: unknown): string {
  const told: string[] = []
  for (let at = error; at instanceof Error && told.length < causesMax; at = at.cause) {
    // A parser's complaint quotes what it could not read.
    const message = at instanceof SyntaxError ? 'a text could not be parsed' : at.message
    told.push(`${at.name}: ${message}`)
  }
  return told.length === 0 ? `thrown: ${typeof error}` : told.join(' < ')
}
