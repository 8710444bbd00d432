import { throwIfAborted } from '../../base/errors.js'
import { bitcoinSourcesMax } from '../../base/limits.js'
import { BitcoinUnavailable, faultOf } from './fault.js'
import type {
  BitcoinFault,
  BitcoinReader,
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
} from './reader.js'

/**
 * Reads Bitcoin through several sources, asked in their order.
 *
 * @throws RangeError when there is no source, or more than 8
 * @remarks The next source is asked when one is unavailable. "Not found" and "spent" are asked for until two sources
 * agree or none is left; the answer names those that agree. A transaction that any source shows was found, whatever
 * others do not find: its bytes prove themselves. Sources of which one says "unspent" and as many say "spent in a block"
 * make the answer unavailable; beside "spent in the mempool", which is not final either, "unspent" gives way.
 */
export function bitcoinReader(sources: readonly CheckedBitcoinReader[]): CheckedBitcoinReader {
  if (sources.length === 0 || sources.length > bitcoinSourcesMax) {
    throw new RangeError(`Bitcoin sources: want 1 to ${bitcoinSourcesMax}`)
  }
  return {
    rawTransaction: (txid, signal) =>
      firstFound(sources, signal, (source) => source.rawTransaction(txid, signal)),
    confirmations: (txid, signal) =>
      firstFound(sources, signal, (source) => source.confirmations(txid, signal)),
    outputStatus: (txid, vout, signal) =>
      agreedStatus(sources, signal, (source) => source.outputStatus(txid, vout, signal)),
    tipHeight: (signal) => firstFound(sources, signal, (source) => source.tipHeight(signal)),
    check: async (signal) => {
      const checks = await Promise.all(sources.map((source) => source.check(signal)))
      return checks.flat()
    },
    close: async () => {
      const closed = await Promise.allSettled(sources.map((source) => source.close()))
      const failed = closed.filter((each) => each.status === 'rejected')
      if (failed.length > 0) {
        const causes = failed.map(({ reason }) => reason)
        throw new AggregateError(causes, 'Bitcoin sources: not all could be closed')
      }
    },
  }
}

type Found<T> = Lookup<T> & { readonly kind: 'found' }

async function firstFound<T>(
  sources: readonly BitcoinReader[],
  signal: AbortSignal,
  ask: (source: BitcoinReader) => Promise<Lookup<T>>,
): Promise<Lookup<T>> {
  const causes: BitcoinFault[] = []
  const missedBy: string[] = []
  for (const source of sources) {
    throwIfAborted(signal, 'Bitcoin sources')
    const answer = await ask(source)
    if (answer.kind === 'found') return answer
    if (answer.kind === 'unavailable') causes.push(...answer.causes)
    else missedBy.push(...answer.sources)
    if (missedBy.length >= 2) break
  }
  return missedBy.length > 0
    ? { kind: 'notFound', sources: missedBy }
    : { kind: 'unavailable', causes }
}

async function agreedStatus(
  sources: readonly BitcoinReader[],
  signal: AbortSignal,
  ask: (source: BitcoinReader) => Promise<Lookup<OutputStatus>>,
): Promise<Lookup<OutputStatus>> {
  const causes: BitcoinFault[] = []
  const missedBy: string[] = []
  const found: Found<OutputStatus>[] = []
  for (const source of sources) {
    throwIfAborted(signal, 'Bitcoin sources')
    const answer = await ask(source)
    if (answer.kind === 'unavailable') causes.push(...answer.causes)
    else if (answer.kind === 'notFound') missedBy.push(...answer.sources)
    else found.push(answer)
    // Nobody has said otherwise: an unspent output needs no second opinion.
    if (answer.kind === 'found' && answer.value.kind === 'unspent' && found.length === 1) {
      return answer
    }
    if (missedBy.length >= 2 && found.length === 0) break
    const agreed = found.length >= 2 ? largestGroup(found) : undefined
    if (agreed && agreed.sources.length >= 2) return agreed
  }
  if (found.length > 0) return largestGroup(found) ?? settled(found)
  return missedBy.length > 0
    ? { kind: 'notFound', sources: missedBy }
    : { kind: 'unavailable', causes }
}

/** The answer that more sources give than any other. */
function largestGroup(found: readonly Found<OutputStatus>[]): Found<OutputStatus> | undefined {
  const kinds = ['unspent', 'spentInMempool', 'spent'] as const
  const groups = kinds
    .map((kind) => found.filter(({ value }) => value.kind === kind))
    .sort((a, b) => b.length - a.length)
  const [first = [], second = []] = groups
  return first.length > second.length ? merged(first) : undefined
}

/** As many sources say one thing as another. */
function settled(found: readonly Found<OutputStatus>[]): Lookup<OutputStatus> {
  const unspent = found.filter(({ value }) => value.kind === 'unspent')
  const inMempool = found.filter(({ value }) => value.kind === 'spentInMempool')
  const inBlock = found.filter(({ value }) => value.kind === 'spent')
  // A source that has the block and one that still has the mempool agree that the output is gone.
  if (unspent.length === 0) return mergedAs('spentInMempool', [...inMempool, ...inBlock])
  if (inBlock.length === 0) return merged(inMempool)
  const says = (group: readonly Found<OutputStatus>[]): string =>
    group.flatMap(({ sources }) => sources).join(', ')
  const detail = `says unspent, but ${says(inBlock)} says spent in a block`
  const error = new BitcoinUnavailable(says(unspent), 'badData', detail, {
    remedy: 'Wait for the next block; if they still disagree, find out which source lies.',
  })
  return { kind: 'unavailable', causes: [faultOf(error)] }
}

function merged(group: readonly Found<OutputStatus>[]): Found<OutputStatus> {
  const [first] = group
  if (!first) throw new RangeError('merged: want at least one answer')
  return first.value.kind === 'unspent'
    ? { ...first, sources: group.flatMap(({ sources }) => sources) }
    : mergedAs(first.value.kind, group)
}

function mergedAs(
  kind: 'spent' | 'spentInMempool',
  group: readonly Found<OutputStatus>[],
): Found<OutputStatus> {
  const named = group.map(({ value }) => (value.kind === 'unspent' ? undefined : value.by))
  const by = named.find((each) => each !== undefined)
  return { kind: 'found', value: { kind, by }, sources: group.flatMap(({ sources }) => sources) }
}
