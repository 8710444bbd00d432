import type { Resolution } from '../covenant/store.js'
import type { RecordDocument, RecordViewDocument } from '../datadir/job-documents.js'
import { nextCommand } from './next-command.js'
import { renderFacts } from './output.js'
import { printable } from './printable.js'
import type { Target } from './target.js'

/** Bytes of a damaged record that are shown without `--raw`. */
const shownBytesMax = 256
const bytesPerLine = 16

/** One block per record: what it is, what it keeps closed, and the command that leads on. */
export function renderRecords(records: readonly RecordDocument[], target: Target): string {
  return records.map((record) => renderSummary(record, target)).join('\n\n')
}

function renderSummary(record: RecordDocument, target: Target): string {
  const facts: (readonly [string, string])[] = [
    ['record', `${record.id} (${record.kind}, ${record.state})`],
    ['reason', printable(record.reason)],
    ['blocks', describeBlocks(record.blocks)],
    ['effect', effectOf(record)],
    ...(record.state === 'open'
      ? [['next', nextCommand(target, 'quarantine', 'show', record.id)] as const]
      : []),
  ]
  return renderFacts(facts)
}

/** All that is known of one record, and the ways out as commands. */
export function renderRecord(record: RecordViewDocument, target: Target): string {
  const { id, kind, state, requestId, sha256, size, foundAt, readable, witnesses, ways } = record
  const facts = renderFacts([
    ['record', id],
    ['kind', kind],
    ['state', state],
    ['reason', printable(record.reason)],
    ['blocks', describeBlocks(record.blocks)],
    ['effect', effectOf(record)],
    ...(requestId === undefined ? [] : [['request', requestId] as const]),
    ['found', foundAt],
    ['size', `${size} bytes`],
    ['sha256', sha256],
  ])
  const read = Object.entries(readable).map(([name, value]) => {
    return `  ${printable(name)}: ${printable(value)}`
  })
  const says = witnesses.map(({ name, says }) => `  ${printable(name)}: ${printable(says)}`)
  return [
    facts,
    section('What could be read', read.length === 0 ? ['  nothing'] : read),
    ...(says.length === 0 ? [] : [section('What each witness says', says)]),
    section(`Raw bytes${rawNote(record, target)}`, hexLines(record.raw.hex)),
    section('Ways out, the recommended one first', renderWays(record, ways, target)),
  ].join('\n\n')
}

/** The command that takes a way out, without `--yes`. */
export function wayCommand(
  target: Target,
  { id }: Pick<RecordDocument, 'id'>,
  asked: { readonly words: readonly string[]; readonly reason?: string | undefined },
): string {
  const how = ['restore', 'adopt', 'retire', 'release'].find((name) =>
    asked.words.includes(`--${name}`),
  )
  const reason = asked.reason ?? usualReasons[how as Resolution['kind']] ?? `settled ${id}` // one of the four
  return nextCommand(target, ...asked.words, '--reason', reason)
}

/** Written into the audit trail by whoever pastes a command as it stands. */
const usualReasons: Readonly<Record<Resolution['kind'], string>> = {
  restore: 'the other witness has it whole',
  adopt: 'the request as its client sent it',
  retire: 'damaged, closed for ever',
  release: 'looked at, may be used again',
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines].join('\n')
}

function renderWays(
  record: RecordViewDocument,
  ways: RecordViewDocument['ways'],
  target: Target,
): readonly string[] {
  if (ways.length === 0) return ['  none is left']
  const lines = ways.flatMap(({ how, effect }, index) => {
    const words = ['quarantine', 'resolve', record.id, ...wayWords(record, how)]
    return [
      `  ${index + 1}. ${how}: ${printable(effect)}`,
      `     ${wayCommand(target, record, { words })}`,
    ]
  })
  const file = '  FILE is the request as its client sent it, or a mended copy of the job file.'
  const needsFile = ways.some(({ how }) => how === 'adopt')
  const others = ways.length > 1 ? ' Without one, take the next way.' : ''
  return [
    ...lines,
    ...(needsFile ? [`${file}${others}`] : []),
    '  Each of them only says what it would change, until --yes is added.',
  ]
}

function wayWords(record: RecordViewDocument, how: Resolution['kind']): readonly string[] {
  switch (how) {
    case 'restore':
      return ['--restore', 'ledger']
    case 'adopt':
      return ['--adopt', 'FILE']
    case 'retire':
      return ['--retire']
    case 'release':
      return ['--release', '--key', typedFor(record)]
  }
}

/** What has to be typed to release a record: its one key, or its id when there is not just one. */
function typedFor({ id, blocks }: RecordDocument): string {
  const [key, ...more] = blocks.keys
  const isOne = key !== undefined && more.length === 0 && !blocks.everyNewKey
  return isOne ? `${key.route}:${key.routeRequestId}` : id
}

/** What a record keeps closed, as one line. */
export function describeBlocks({ keys, outpoints, everyNewKey }: RecordDocument['blocks']): string {
  const named = keys.map(({ route, routeRequestId }) => `${route}:${routeRequestId}`)
  const parts = [...(everyNewKey ? ['every new key'] : []), ...named, ...outpoints]
  return parts.length === 0 ? 'nothing' : printable(parts.join(', '))
}

function effectOf({ state, blocks }: RecordDocument): string {
  if (state === 'retired') return 'settled; what it blocks stays closed for ever'
  if (blocks.everyNewKey) return 'no new request is taken at all, until this is settled'
  if (blocks.keys.length + blocks.outpoints.length === 0) return 'nothing is refused because of it'
  return 'requests for these are refused and nothing is signed for them; all others go on'
}

function rawNote({ raw, id }: RecordViewDocument, target: Target): string {
  const size = raw.hex.length / 2
  if (size <= shownBytesMax) return ` (${size})`
  const all = nextCommand(target, 'quarantine', 'show', id, '--raw')
  return ` (first ${shownBytesMax} of ${size}; all of them: ${all})`
}

function hexLines(hex: string): readonly string[] {
  if (hex === '') return ['  none were kept']
  const bytes = Buffer.from(hex.slice(0, shownBytesMax * 2), 'hex')
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += bytesPerLine) {
    const part = bytes.subarray(at, at + bytesPerLine)
    const digits = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = part.toString('latin1').replace(/[^ -~]/g, '.')
    const place = at.toString(16).padStart(4, '0')
    lines.push(`  ${place}  ${digits.padEnd(bytesPerLine * 3 - 1)}  ${text}`)
  }
  return lines
}
