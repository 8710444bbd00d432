/** Fields of a job file that say what the job was; the request itself is left out. */
const names = [
  'requestId',
  'routeRequestId',
  'route',
  'facadeRequestId',
  'requestDigest',
  'depositorEthAddress',
  'state',
  'detail',
  'reason',
  'createdAt',
  'updatedAt',
  'completedAt',
  'failedAt',
  'psbtHash',
  'transactionHex',
] as const

export type ReadableFields = Readonly<Partial<Record<(typeof names)[number], string>>>

/**
 * What a damaged job file still says, whatever is wrong with it; only hints, since any of it may be changed.
 *
 * @remarks The first text under each name counts, outside of the request, which repeats some of the names.
 */
export function readableFields(raw: Uint8Array): ReadableFields {
  const text = Buffer.from(raw).toString('utf8')
  const request = text.indexOf('"request":')
  const outside = request < 0 ? text : `${text.slice(0, request)}\n${afterRequest(text, request)}`
  const found: Partial<Record<(typeof names)[number], string>> = {}
  for (const name of names) {
    const value = new RegExp(`"${name}"\\s*:\\s*("(?:[^"\\\\\\n]|\\\\.)*")`).exec(outside)?.[1]
    const decoded = value === undefined ? undefined : decode(value)
    if (decoded !== undefined) found[name] = decoded
  }
  return found
}

/** What follows the request: results stand there. */
function afterRequest(text: string, from: number): string {
  let depth = 0
  for (let at = text.indexOf('{', from); at >= 0 && at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') {
      const end = /^"(?:[^"\\]|\\.)*"/s.exec(text.slice(at, at + 65536))
      if (end === null) return ''
      at += end[0].length - 1
    } else if (character === '{') depth += 1
    else if (character === '}') {
      depth -= 1
      if (depth === 0) return text.slice(at + 1)
    }
  }
  return ''
}

function decode(literal: string): string | undefined {
  try {
    const value: unknown = JSON.parse(literal)
    return typeof value === 'string' ? value : undefined
  } catch {
    // An escape that is no escape: the text is damaged there.
    return undefined
  }
}
