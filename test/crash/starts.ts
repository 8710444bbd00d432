import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'

/** State of the test wallet in a data directory: nothing of it, all of it, or something in between. */
export type State = 'ZERO' | 'ALL' | 'TORN'

/** A data directory that a run starts from. */
export type Start = {
  /** `fresh/plain`, ..., as it stands in the names of points. */
  readonly name: string
  /** What the traced process does: register the test wallet, or only open, load and close. */
  readonly op: 'register' | 'recover'
  /** Whether a vault is there and the seed is kept in it. */
  readonly secret: boolean
  /** The start whose reference states apply. */
  readonly base: string
  /** How the image of a dead process is made on top of `base`; undefined for starts that are whole. */
  readonly made: Made | undefined
  /** The state a recovery must end in, where the image decides it. */
  readonly expect: State | undefined
  /** The restore phase fails in every run, so that what is hurt is the way back. */
  readonly rollsBack: boolean
  /** Calls before this named point are the same as from another start, and left out here. */
  readonly from: string | undefined
}

/** `at`: killed at a named point. `syncs`: every sync from the commit's on fails, killed after the answer. */
export type Made =
  | { readonly kind: 'at'; readonly point: string }
  | { readonly kind: 'syncs'; readonly after: string }
  | { readonly kind: 'unlinks'; readonly point: string }

/** Where a start begins to differ from the one before it; calls up to there are tried from that one only. */
const firstOf: Readonly<Record<string, string>> = {
  'fresh/secret': 'reserve.before',
  'held/secret': 'promote.afterCommit',
  'staged/secret': 'recover.step:1',
  'displaced/secret': 'recover.step:1',
  'deferred/secret': 'recover.step:1',
}

const whole = (name: string): Start => ({
  name,
  op: 'register',
  secret: !name.endsWith('/plain'),
  base: name,
  made: undefined,
  expect: undefined,
  rollsBack: false,
  from: firstOf[name],
})

/**
 * Where registrations start. `fresh`: no directory, or one that holds a new vault only. `warm`: another wallet is
 * registered, with its secret. `held`: the label already holds another secret for this very wallet.
 */
export const registerStarts: readonly Start[] = [
  'fresh/plain',
  'fresh/secret',
  'warm/plain',
  'warm/secret',
  'held/secret',
].map(whole)

const left = (name: string, base: string, made: Made, expect?: State): Start => ({
  name,
  op: 'recover',
  secret: name.endsWith('/secret'),
  base,
  made,
  expect,
  rollsBack: false,
  from: firstOf[name],
})

/** The last named point before the way back begins. */
const failsAt = 'restore.provider'

/** Registrations that fail on their own, so that what is hurt is their way back. */
export const rollbackStarts: readonly Start[] = ['plain', 'secret'].map((kind) => ({
  ...whole(`rollback/${kind}`),
  base: `warm/${kind}`,
  rollsBack: true,
  from: failsAt,
}))

/** What dead or failed processes leave behind, for the next open to end. */
export const recoverStarts: readonly Start[] = [
  left('reserved/plain', 'warm/plain', { kind: 'at', point: 'restore.provider' }, 'ZERO'),
  left('staged/secret', 'warm/secret', { kind: 'at', point: 'secret.stage.after' }, 'ZERO'),
  left('committed/secret', 'warm/secret', { kind: 'at', point: 'promote.afterCommit' }, 'ALL'),
  left('displaced/secret', 'held/secret', { kind: 'at', point: 'promote.afterCommit' }, 'ALL'),
  left('unclear/plain', 'warm/plain', { kind: 'syncs', after: 'promote.beforeCommit' }),
  left('deferred/secret', 'warm/secret', { kind: 'unlinks', point: 'restore.provider' }, 'ZERO'),
]

export const starts: readonly Start[] = [...registerStarts, ...rollbackStarts, ...recoverStarts]

/** The start of that name. @throws RangeError */
export function startOf(name: string): Start {
  const found = starts.find((start) => start.name === name)
  if (found === undefined) throw new RangeError(`start: no such image, ${name}`)
  return found
}

/** 64 fixed bytes per name; worth nothing anywhere. */
const seedHexOf = (name: string): string =>
  createHash('sha512').update(`holdfast crash lab ${name}`).digest('hex')

/** The wallet under test and its neighbour; everything about them is fixed. */
export const fixture = {
  seedHex: seedHexOf('wallet'),
  /** Derived from the seed; `referenceOf` checks it. */
  walletId: 'ce5433591e6c163291a12018cf40ee4ce30a84ada6cf85da391d3e66a81d39b2',
  otherSeedHex: seedHexOf('other wallet'),
  /** Another secret that stands under the test wallet's label in the `held` start. */
  heldSecretHex: seedHexOf('held secret'),
  passphrase: 'crash lab passphrase, not a secret',
  label: 'main',
  network: 'testnet',
  birthHeight: 1_234_567,
} as const

export type NamedFault = { readonly point: string; readonly action: string }

/** What `op.mjs` reads from its second argument. */
export type OpConfig = {
  readonly dist: string
  readonly op: Start['op']
  readonly secret: boolean
  readonly seedHex: string
  readonly passphrase: string
  readonly label: string
  readonly birthHeight: number
  readonly afterError: 'close' | 'die' | 'retry'
  /** Each happens once, at the first passing. */
  readonly faults: readonly NamedFault[]
}

/** The config of a run from this start. */
export function opConfig(
  start: Pick<Start, 'op' | 'secret' | 'rollsBack'>,
  dist: string,
  more: { readonly afterError?: OpConfig['afterError']; readonly fault?: NamedFault } = {},
): OpConfig {
  const { seedHex, passphrase, label, birthHeight } = fixture
  return {
    dist,
    op: start.op,
    secret: start.secret,
    seedHex,
    passphrase,
    label,
    birthHeight,
    afterError: more.afterError ?? 'close',
    faults: [
      ...(start.rollsBack ? [{ point: failsAt, action: 'transient' }] : []),
      ...(more.fault ? [more.fault] : []),
    ],
  }
}

export const opFile: string = fileURLToPath(new URL('op.mjs', import.meta.url))
