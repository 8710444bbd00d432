import { HDKey } from '@scure/bip32'
import { equalBytes } from '../src/base/bytes.js'
import { hash160 } from '../src/base/curve.js'
import { derivePath256 } from '../src/wallet/derive.js'
import { parseXpub } from '../src/wallet/extended-key.js'
import { childKeys } from '../src/wallet/hd.js'

/** What deriving addresses from an account's public node costs, ours beside \@scure/bip32. */
export type DerivationResult = {
  /** Microseconds for one address: child public key and HASH160; medians. */
  readonly oursUs: number
  readonly theirsUs: number
  /** Median over the rounds of theirs divided by ours. */
  readonly ratio: number
  /** Smallest and largest ratio of one round. */
  readonly ratioRange: readonly [number, number]
}

/** Times theirs must take for one of ours. */
export const derivationRatioMin: number = 3

/** Account node to addresses, the two implementations in turn, each round over fresh indices. */
export function benchDerivation(
  options: { readonly rounds?: number; readonly addresses?: number } = {},
): DerivationResult {
  const { rounds = 15, addresses = 100 } = options
  const seed = new Uint8Array(64).fill(9)
  const path = "m/9'/1'/17'/0'/0'"
  const xpub = derivePath256({ seed, path, network: 'mainnet' }).extendedPublic
  const contenders = { ours: ours(xpub), theirs: theirs(xpub) }
  check(contenders, addresses)
  const times = { ours: [] as number[], theirs: [] as number[] }
  for (let round = 1; round <= rounds; round++) {
    // Who goes first changes every round, so that neither always meets the warmer machine.
    const order = round % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const)
    for (const name of order) {
      const startedAt = performance.now()
      contenders[name](round * addresses, addresses)
      times[name].push(((performance.now() - startedAt) * 1000) / addresses)
    }
  }
  const ratios = times.theirs.map((theirUs, round) => theirUs / (times.ours[round] ?? Number.NaN))
  return {
    oursUs: median(times.ours),
    theirsUs: median(times.theirs),
    ratio: median(ratios),
    ratioRange: [Math.min(...ratios), Math.max(...ratios)],
  }
}

type Contender = (first: number, count: number) => readonly Uint8Array[]

const ours = (xpub: string): Contender => {
  const node = parseXpub(xpub, 'mainnet')
  return (first, count) => {
    const keyAt = childKeys(node)
    return Array.from({ length: count }, (_, n) => hash160(keyAt(first + n)))
  }
}

const theirs = (xpub: string): Contender => {
  const node = HDKey.fromExtendedKey(xpub)
  return (first, count) =>
    Array.from({ length: count }, (_, n) => {
      const hash = node.deriveChild(first + n).pubKeyHash
      if (hash === undefined) throw new Error('bench: no public key')
      return hash
    })
}

/** Both must derive the same addresses; it also warms them up. */
function check(contenders: Record<'ours' | 'theirs', Contender>, count: number): void {
  const expected = contenders.theirs(0, count)
  const same = contenders.ours(0, count).every((hash, n) => equalBytes(hash, expected[n] ?? hash))
  if (!same) throw new Error('bench: the two derive different addresses')
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
