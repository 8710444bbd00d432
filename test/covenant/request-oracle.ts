/**
 * A second reading of the specification, independent of the code under test: its own tables, its own
 * JSON reader, its own canonical writer. Slow and plain on purpose.
 */

/** A JSON value as read: numbers keep their text, objects their keys and order. */
export type Node =
  | { readonly kind: 'text' | 'number' | 'word'; readonly value: string }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Node])[] }

const reservation =
  'reservationId:t? reserve:h epoch:u64 route:s revealer:h vault:h network:t status:s'

/**
 * Fields of section 4, in order. h hex, s text, t trimmed text, u32, u64, b flag; [x] list, {x} map;
 * `?` left out when empty, `~` null when absent; a capital names another record.
 */
export const tables: Readonly<Record<string, string>> = {
  Submit: 'routeRequestId:s request:Request stage:s',
  Poll: 'routeRequestId:s request:Request stage:s requestId:s',
  Issue:
    'walletPublicKeyHash:h route:s reserve:h network:t artifactApprovals:Approvals endBlock:u64',
  Request:
    'facadeRequestId:s idempotencyKey:s requestType:s route:s action:s? strategy:h reserve:h epoch:u64 ' +
    'maturityHeight:u64 activeOutpoint:Outpoint destinationCommitmentHash:h migrationDestination:Migration? ' +
    'redeemDestination:Redeem? renewDestination:Renew? migrationPlanQuote:Quote? ' +
    'migrationTransactionPlan:Plan? artifactApprovals:Approvals? signerApproval:Certificate? ' +
    'artifactSignatures:[h]~ artifacts:{Artifact}~ scriptTemplate:Template signing:Signing',
  Outpoint: 'txid:h vout:u32 scriptHash:h?',
  Migration: `${reservation} depositScript:h depositScriptHash:h migrationExtraData:h destinationCommitmentHash:h`,
  Redeem: `${reservation} outputScript:h outputScriptHash:h outputValueSats:u64 destinationCommitmentHash:h`,
  Renew:
    `${reservation} nextCovenantScript:h nextCovenantScriptHash:h nextMaturityHeight:u64 ` +
    'outputValueSats:u64 destinationCommitmentHash:h',
  Plan:
    'planVersion:u32 planCommitmentHash:h inputValueSats:u64 destinationValueSats:u64 ' +
    'anchorValueSats:u64 feeSats:u64 inputSequence:u32 lockTime:u32',
  Quote:
    'quoteId:t quoteVersion:u32 reservationId:t reserve:h epoch:u64 route:s revealer:h vault:h network:t ' +
    'destinationCommitmentHash:h activeOutpointTxid:h activeOutpointVout:u32 planCommitmentHash:h ' +
    'migrationTransactionPlan:Plan~ idempotencyKey:t expiresInSeconds:u64 issuedAt:s expiresAt:s ' +
    'signature:QuoteSignature',
  QuoteSignature: 'signatureVersion:u32 algorithm:s keyId:t signature:h',
  Approvals: 'payload:Payload approvals:[Approval]~',
  Payload:
    'approvalVersion:u32 route:s scriptTemplateId:s destinationCommitmentHash:h planCommitmentHash:h',
  Approval: 'role:s signature:h',
  Certificate:
    'certificateVersion:u32 signatureAlgorithm:s approvalDigest:h walletPublicKey:h signerSetHash:h ' +
    'signature:h activeMembers:[u32]? inactiveMembers:[u32]? endBlock:u64~',
  Artifact: 'psbtHash:h destinationCommitmentHash:h transactionHex:h? transactionId:h?',
  Signing: 'signerRequired:b custodianRequired:b',
  self_v1: 'template:s depositorPublicKey:h signerPublicKey:h delta2:u64',
  qc_v1:
    'template:s depositorPublicKey:h custodianPublicKey:h signerPublicKey:h beta:u64 delta2:u64',
}

export type Field = { readonly name: string; readonly type: string; readonly mark: string }

/** The fields of one record. */
export function fieldsOf(record: string): readonly Field[] {
  return (tables[record] ?? '').split(' ').map((field) => {
    const [name = '', kind = ''] = field.split(':')
    const mark = /[?~]$/.exec(kind)?.[0] ?? ''
    return { name, type: kind.slice(0, kind.length - mark.length), mark }
  })
}

class Refused extends Error {}

/** What decoding should give, or undefined when the body should be refused. */
export function expectDecoded(record: string, body: Uint8Array): unknown {
  try {
    if (body.length > 2 * 1024 * 1024) throw new Refused('size')
    return readRecord(record, readJson(goUtf8(body)), undefined)
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
}

const sequence =
  /([^\x80-\xff]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})|./gs

/** UTF-8, with one U+FFFD for each byte that belongs to no valid sequence. */
function goUtf8(body: Uint8Array): string {
  const bytes = Buffer.from(body).toString('latin1')
  return bytes.replace(sequence, (_, valid?: string) =>
    valid === undefined ? '\ufffd' : Buffer.from(valid, 'latin1').toString('utf8'),
  )
}

const tokens =
  /[ \t\n\r]*(?:("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null|[{}[\],:]))/y

function readJson(text: string): Node {
  let at = 0
  const next = (): string => {
    tokens.lastIndex = at
    const token = tokens.exec(text)
    if (token === null) throw new Refused('syntax')
    at = tokens.lastIndex
    return token[1] ?? token[2] ?? token[3] ?? ''
  }
  const value = (token: string, depth: number): Node => {
    if (token.startsWith('"')) return { kind: 'text', value: JSON.parse(token) as string }
    if (/^[-\d]/.test(token)) return { kind: 'number', value: token }
    if (/^[tfn]/.test(token)) return { kind: 'word', value: token }
    if (depth > 64) throw new Refused('depth')
    if (token === '[') return list(depth)
    if (token === '{') return object(depth)
    throw new Refused('syntax')
  }
  const list = (depth: number): Node => {
    const items: Node[] = []
    let token = next()
    if (token === ']') return { kind: 'list', items }
    for (;;) {
      items.push(value(token, depth + 1))
      token = next()
      if (token === ']') return { kind: 'list', items }
      if (token !== ',') throw new Refused('syntax')
      token = next()
    }
  }
  const object = (depth: number): Node => {
    const entries: [string, Node][] = []
    let token = next()
    if (token === '}') return { kind: 'object', entries }
    for (;;) {
      if (!token.startsWith('"') || next() !== ':') throw new Refused('syntax')
      const key = JSON.parse(token) as string
      if (entries.some(([other]) => other === key)) throw new Refused('repeated key')
      entries.push([key, value(next(), depth + 1)])
      token = next()
      if (token === '}') return { kind: 'object', entries }
      if (token !== ',') throw new Refused('syntax')
      token = next()
    }
  }
  const whole = value(next(), 1)
  if (!/^[ \t\n\r]*$/.test(text.slice(at))) throw new Refused('second value')
  return whole
}

function readRecord(record: string, node: Node | undefined, route: string | undefined): unknown {
  const entries = absent(node) ? [] : node?.kind === 'object' ? node.entries : undefined
  if (entries === undefined) throw new Refused('not an object')
  const fields = fieldsOf(record)
  if (entries.some(([key]) => !fields.some(({ name }) => name === key)))
    throw new Refused('unknown')
  const find = (name: string): Node | undefined => entries.find(([key]) => key === name)?.[1]
  const routeNode = find('route')
  const own = routeNode?.kind === 'text' ? routeNode.value : route
  return Object.fromEntries(
    fields.map(({ name, type, mark }) => [name, readField(type, mark, find(name), own)]),
  )
}

const absent = (node: Node | undefined): boolean =>
  node === undefined || (node.kind === 'word' && node.value === 'null')

function readField(type: string, mark: string, node: Node | undefined, route?: string): unknown {
  if (type === 'Template') return readTemplate(node, route)
  if (absent(node) && mark === '~') return null
  if (absent(node) && mark === '?' && /^[A-Z]/.test(type)) return undefined
  if (type.startsWith('[')) {
    if (absent(node)) return []
    if (node?.kind !== 'list') throw new Refused('not a list')
    return node.items.map((item) => readField(type.slice(1, -1), '', item))
  }
  if (type.startsWith('{')) {
    if (node?.kind !== 'object') throw new Refused('not a map')
    const pairs = node.entries.map(
      ([key, value]) => [wellFormed(key), readField(type.slice(1, -1), '', value)] as const,
    )
    if (new Set(pairs.map(([key]) => key)).size !== pairs.length) throw new Refused('repeated key')
    return new Map(pairs)
  }
  if (/^[A-Z]/.test(type)) return readRecord(type, node, undefined)
  return readScalar(type, node)
}

function readScalar(type: string, node: Node | undefined): unknown {
  if (type === 'b') {
    if (absent(node)) return false
    if (node?.kind !== 'word') throw new Refused('not a flag')
    return node.value === 'true'
  }
  if (type === 'u32' || type === 'u64') {
    const digits = absent(node) ? '0' : node?.kind === 'number' ? node.value : ''
    if (!/^\d+$/.test(digits) || digits.length > 30) throw new Refused('not an unsigned integer')
    if (BigInt(digits) >= 2n ** (type === 'u32' ? 32n : 64n)) throw new Refused('out of range')
    return type === 'u32' ? Number(digits) : BigInt(digits)
  }
  if (absent(node)) return ''
  if (node?.kind !== 'text') throw new Refused('not text')
  return wellFormed(node.value)
}

function readTemplate(node: Node | undefined, route: string | undefined): unknown {
  if (route !== 'self_v1' && route !== 'qc_v1') return { invalid: '' }
  try {
    return readRecord(route, node, undefined)
  } catch (error) {
    if (error instanceof Refused) return { invalid: '' }
    throw error
  }
}

/** Lone surrogates become U+FFFD when text passes through UTF-8. */
export function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

/** Canonical JSON of a decoded record by the rules of section 5. */
export function canonicalOf(record: string, value: object): string {
  const values = new Map<string, unknown>(Object.entries(value))
  const written = fieldsOf(record).flatMap(({ name, type, mark }) => {
    const field = values.get(name)
    const empty =
      field === undefined || field === '' || (Array.isArray(field) && field.length === 0)
    return mark === '?' && empty ? [] : [`${canonicalString(name)}:${canonicalField(type, field)}`]
  })
  return `{${written.join(',')}}`
}

function canonicalField(type: string, value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) {
    return `[${value.map((item) => canonicalField(type.slice(1, -1), item)).join(',')}]`
  }
  if (value instanceof Map) {
    const hexKey = (key: string): string => Buffer.from(key).toString('hex')
    const keys = [...(value.keys() as Iterable<string>)]
    keys.sort((a, b) => (hexKey(a) < hexKey(b) ? -1 : 1))
    const pairs = keys.map((key) => {
      return `${canonicalString(key)}:${canonicalField(type.slice(1, -1), value.get(key))}`
    })
    return `{${pairs.join(',')}}`
  }
  if (typeof value === 'object' && value !== undefined) {
    const template = 'custodianPublicKey' in value ? 'qc_v1' : 'self_v1'
    return canonicalOf(type === 'Template' ? template : type, value)
  }
  return typeof value === 'string' ? canonicalString(value) : String(value)
}

const named: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
}

/** One string by the rules of section 5, character by character. */
export function canonicalString(text: string): string {
  const written = [...wellFormed(text)].map((character) => {
    const code = character.codePointAt(0) ?? 0
    return (
      named[character] ?? (code < 0x20 ? `\\u00${code.toString(16).padStart(2, '0')}` : character)
    )
  })
  return `"${written.join('')}"`
}
