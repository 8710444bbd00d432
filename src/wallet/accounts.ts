import { toHex, wipe } from '../base/bytes.js'
import { HoldfastError, unreachable } from '../base/errors.js'
import { accountsMax, gapLimitMax } from '../base/limits.js'
import {
  type Account,
  type AccountKey,
  type AccountType,
  accountKey,
  accountName,
  accountTypes,
} from './account.js'
import { encodeXpub, type PrivateNode, type PublicNode } from './extended-key.js'
import { derivePrivate, neuter } from './hd.js'
import { coinType, type Network } from './network.js'
import { type ChildNumber, formatPath, hardened, normal } from './paths.js'
import type { Chain } from './pool.js'

/** Which numbered accounts a wallet gets; what is left out gets none. Each number is below 2^31. */
export type AccountIndices = {
  readonly bip44?: readonly number[]
  readonly bip32?: readonly number[]
  readonly coinjoin?: readonly number[]
  /** Registration indices that get a bound top-up account. */
  readonly topUps?: readonly number[]
  readonly platformPayment?: readonly { readonly account: number; readonly keyClass: number }[]
}

const specialTypes = [
  'identity_registration',
  'identity_topup_unbound',
  'identity_invitation',
  'provider_voting',
  'provider_owner',
  'provider_platform',
] as const
/** Accounts that a wallet has once; `provider_platform` stands for the platform node keys. */
export type SpecialAccount = (typeof specialTypes)[number]

/**
 * Accounts made at registration.
 *
 * - `default`: index 0 of BIP-44, BIP-32, CoinJoin and Platform payment, and every special account.
 * - `all`: the given ones and every special account.
 * - `bip44Only`: BIP-44 accounts of these indices and nothing else.
 * - `specific`: the given ones, and of the special accounts those in `extra`.
 * - `none`: no account, for tests.
 */
export type AccountOptions =
  | 'default'
  | 'none'
  | { readonly all: AccountIndices }
  | { readonly bip44Only: readonly number[] }
  | { readonly specific: AccountIndices & { readonly extra?: readonly SpecialAccount[] } }

/** What `AccountOptions` come to, in the order of the specification's table. */
export type AccountPlan = {
  readonly accounts: readonly AccountKey[]
  /** Ed25519 node keys belong to no account, because they have no extended public key. */
  readonly nodeKeys: boolean
}

/** Unused entries kept past the highest used one, by account type; 1 to 1000, defaults after DIP-17 and dashcore. */
export type Gaps = Readonly<Record<AccountType, number>>

export const defaultGaps: Gaps = {
  standard_bip44: 30,
  standard_bip32: 30,
  coinjoin: 30,
  identity_registration: 5,
  identity_topup: 5,
  identity_topup_unbound: 5,
  identity_invitation: 5,
  provider_voting: 5,
  provider_owner: 5,
  provider_platform: 5,
  dashpay_receiving: 20,
  dashpay_external: 20,
  platform_payment: 20,
}

/** @throws InvalidAccountOptions unless every gap is 1 to 1000 */
export function checkGaps(gaps: Partial<Gaps>): Gaps {
  const all = { ...defaultGaps, ...gaps }
  for (const type of accountTypes) {
    const gap = all[type]
    if (!(Number.isInteger(gap) && gap >= 1 && gap <= gapLimitMax)) {
      throw new InvalidAccountOptions(`gap of ${type} is not 1 to ${gapLimitMax}`)
    }
  }
  return all
}

/** @throws InvalidAccountOptions on a bad, repeated or excessive account number */
export function planAccounts(options: AccountOptions): AccountPlan {
  const keys = requestedKeys(options).sort(bySpecificationOrder)
  checkAccountKeys(keys)
  return {
    accounts: keys.filter((key) => key.type !== 'provider_platform'),
    nodeKeys: keys.some((key) => key.type === 'provider_platform'),
  }
}

/** @throws InvalidAccountOptions unless the keys are at most 256, differ, and have numbers below 2^31 */
export function checkAccountKeys(keys: readonly AccountKey[]): void {
  if (keys.length > accountsMax) {
    throw new InvalidAccountOptions(`${keys.length} accounts, want at most ${accountsMax}`)
  }
  const fits = (n: number): boolean => Number.isInteger(n) && n >= 0 && n < 2 ** 31
  const names = new Set<string>()
  for (const key of keys) {
    if (!fits(key.index) || !fits(key.keyClass)) {
      throw new InvalidAccountOptions(`an account number of ${key.type} is not 0 to 2^31 - 1`)
    }
    const name = accountName(key)
    if (names.has(name)) throw new InvalidAccountOptions(`${name} is asked for twice`)
    names.add(name)
  }
}

function requestedKeys(options: AccountOptions): AccountKey[] {
  if (options === 'none') return []
  if (options === 'default') {
    const platformPayment = [{ account: 0, keyClass: 0 }]
    return requestedKeys({ all: { bip44: [0], bip32: [0], coinjoin: [0], platformPayment } })
  }
  if ('all' in options) return [...numberedKeys(options.all), ...specialTypes.map(specialKey)]
  if ('bip44Only' in options) return numberedKeys({ bip44: options.bip44Only })
  return [...numberedKeys(options.specific), ...(options.specific.extra ?? []).map(specialKey)]
}

function specialKey(type: SpecialAccount): AccountKey {
  if (!specialTypes.includes(type)) throw new InvalidAccountOptions('an unknown special account')
  return accountKey(type)
}

const numberedKeys = (indices: AccountIndices): AccountKey[] => [
  ...(indices.bip44 ?? []).map((index) => accountKey('standard_bip44', index)),
  ...(indices.bip32 ?? []).map((index) => accountKey('standard_bip32', index)),
  ...(indices.coinjoin ?? []).map((index) => accountKey('coinjoin', index)),
  ...(indices.topUps ?? []).map((index) => accountKey('identity_topup', index)),
  ...(indices.platformPayment ?? []).map((one) =>
    accountKey('platform_payment', one.account, one.keyClass),
  ),
]

/** Order of the specification's table, then of the account's numbers. */
export const bySpecificationOrder = (a: AccountKey, b: AccountKey): number =>
  accountTypes.indexOf(a.type) - accountTypes.indexOf(b.type) ||
  a.index - b.index ||
  a.keyClass - b.keyClass

/** Path of the node whose extended public key the account keeps (DIP-9, DIP-13, DIP-15, DIP-17, BIP-44). */
export function accountPath(key: AccountKey, network: Network): readonly ChildNumber[] {
  const feature = (...levels: readonly number[]): readonly ChildNumber[] =>
    [9, coinType(network), ...levels].map(hardened)
  switch (key.type) {
    case 'standard_bip44':
      return [hardened(44), hardened(coinType(network)), hardened(key.index)]
    case 'standard_bip32':
      return [hardened(key.index)]
    case 'coinjoin':
      return feature(4, key.index)
    case 'identity_registration':
      return feature(5, 1)
    case 'identity_topup':
      return feature(5, 2, key.index)
    case 'identity_topup_unbound':
      return feature(5, 2)
    case 'identity_invitation':
      return feature(5, 3)
    case 'provider_voting':
      return feature(3, 1)
    case 'provider_owner':
      return feature(3, 2)
    case 'provider_platform':
      return feature(3, 4)
    case 'dashpay_receiving':
      return [...feature(15, 0), identityLevel(key.ownIdentity), identityLevel(key.contactIdentity)]
    case 'dashpay_external':
      return [...feature(15, 0), identityLevel(key.contactIdentity), identityLevel(key.ownIdentity)]
    case 'platform_payment':
      return feature(17, key.index, key.keyClass)
    default:
      return unreachable(key.type)
  }
}

const identityLevel = (id: Uint8Array): ChildNumber => normal(BigInt(`0x${toHex(id)}`))

/** The address chains an account owns. */
export function chainsOf(type: AccountType): readonly Chain[] {
  if (type === 'standard_bip44' || type === 'standard_bip32') return ['external', 'internal']
  return type === 'provider_platform' ? ['single_hardened'] : ['single']
}

/**
 * Derives what an account keeps, and its public node for address pools.
 *
 * @throws RangeError for `provider_platform`, whose keys have no extended public key
 */
export function deriveAccount(
  root: PrivateNode,
  key: AccountKey,
  network: Network,
): { readonly account: Account; readonly node: PublicNode } {
  if (key.type === 'provider_platform') throw new RangeError('node keys: have no account key')
  const path = accountPath(key, network)
  const secret = derivePrivate(root, path)
  try {
    const node = neuter(secret)
    return { account: { ...key, path: formatPath(path), xpub: encodeXpub(node, network) }, node }
  } finally {
    wipe(secret.privateKey)
  }
}

/** Account options, gaps or keyless accounts that do not make a wallet. */
export class InvalidAccountOptions extends HoldfastError {
  readonly code = 'InvalidAccountOptions'
  constructor(detail: string) {
    super(`account options: ${detail}`, {
      retry: 'after-fix',
      remedy: 'Ask for each account once, with numbers below 2147483648 and gaps of 1 to 1000.',
    })
  }
}
