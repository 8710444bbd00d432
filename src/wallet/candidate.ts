import { wipe } from '../base/bytes.js'
import { parseGroupId, type WalletId } from '../base/ids.js'
import {
  type Account,
  type AccountKey,
  type AccountType,
  accountKey,
  accountName,
  accountTypes,
} from './account.js'
import {
  type AccountOptions,
  accountPath,
  bySpecificationOrder,
  chainsOf,
  checkAccountKeys,
  checkGaps,
  deriveAccount,
  type Gaps,
  InvalidAccountOptions,
  planAccounts,
} from './accounts.js'
import { checkBirthHeight } from './birth-height.js'
import type { Changeset } from './changeset.js'
import { groupIdOf, seedOf, walletIdOf, withRoot } from './derive.js'
import { MalformedXpub, type PublicNode, parseXpub } from './extended-key.js'
import { type Network, parseNetwork } from './network.js'
import { formatPath } from './paths.js'
import { buildNodePool, buildPool, chainKeys, type Pool } from './pool.js'
import { nodeKeys } from './slip10.js'

/** What both kinds of candidate need besides their keys. */
type CandidateFacts = {
  readonly network: Network
  readonly gaps?: Partial<Gaps> | undefined
  /** Already resolved, see `resolveBirthHeight`. */
  readonly birthHeight: number
  readonly createdAtMs: number
}

/**
 * Everything that the registration of a seed writes: ids, accounts, address pools; public data only.
 *
 * @param input.seed - 64 bytes; neither kept nor changed
 * @param input.onNodeKeyFailure - told when Ed25519 keys cannot be made; the wallet then has no pool of them
 * @throws InvalidSeed, InvalidAccountOptions, InvalidBirthHeight
 */
export function deriveCandidate(
  input: CandidateFacts & {
    readonly seed: Uint8Array
    readonly accounts?: AccountOptions | undefined
    readonly onNodeKeyFailure?: ((cause: unknown) => void) | undefined
  },
): Changeset {
  const network = parseNetwork(input.network)
  const plan = planAccounts(input.accounts ?? 'default')
  const gaps = checkGaps(input.gaps ?? {})
  const seed = seedOf({ seed: input.seed })
  try {
    return withRoot(seed, (root) => {
      const derived = plan.accounts.map((key) => deriveAccount(root, key, network))
      const pools = derived.flatMap(({ account, node }) => poolsOf(account, node, gaps))
      if (plan.nodeKeys) pools.push(...nodePools(seed, input, gaps.provider_platform))
      pools.sort((a, b) => bySpecificationOrder(a.account, b.account))
      return {
        ...emptyChangeset(input),
        walletId: walletIdOf(root, network),
        groupId: groupIdOf(root),
        accounts: derived.map(({ account }) => account),
        pools,
      }
    })
  } finally {
    wipe(seed)
  }
}

type PlacedAccount = { readonly account: Account; readonly node: PublicNode }

/** One account of a keyless wallet; `index` and `keyClass` are 0 where left out. */
export type WatchOnlyAccount = {
  readonly type: AccountType
  readonly index?: number
  readonly keyClass?: number
  readonly xpub: string
}

/**
 * Public keys that make a keyless wallet.
 *
 * @remarks A `walletId` is carried and trusted, and stands in for the unknown group id; from a `rootXpub` both
 * ids are computed.
 */
export type WatchOnlyInput = Pick<CandidateFacts, 'network' | 'gaps'> & {
  readonly accounts: readonly WatchOnlyAccount[]
} & ({ readonly walletId: WalletId } | { readonly rootXpub: string })

/**
 * Everything that the registration of a keyless wallet writes.
 *
 * @throws MalformedXpub also when a key stands at another place of the tree than its account
 * @throws InvalidAccountOptions, InvalidBirthHeight
 */
export function watchOnlyCandidate(input: CandidateFacts & WatchOnlyInput): Changeset {
  const network = parseNetwork(input.network)
  const gaps = checkGaps(input.gaps ?? {})
  if (input.accounts.length === 0) throw new InvalidAccountOptions('a keyless wallet needs one')
  const accounts = input.accounts.map((given) => readAccount(given, network))
  checkAccountKeys(accounts.map(({ account }) => account))
  accounts.sort((a, b) => bySpecificationOrder(a.account, b.account))
  return {
    ...emptyChangeset(input),
    ...('walletId' in input ? carriedIds(input.walletId) : rootIds(input.rootXpub, network)),
    accounts: accounts.map(({ account }) => account),
    pools: accounts.flatMap(({ account, node }) => poolsOf(account, node, gaps)),
  }
}

type Ids = Pick<Changeset, 'walletId' | 'groupId'>

const carriedIds = (walletId: WalletId): Ids => ({
  walletId,
  groupId: parseGroupId(walletId),
})

function rootIds(rootXpub: string, network: Network): Ids {
  const root = parseXpub(rootXpub, network)
  if (root.depth !== 0) throw new MalformedXpub('is not a root key')
  return { walletId: walletIdOf(root, network), groupId: groupIdOf(root) }
}

function readAccount(given: WatchOnlyAccount, network: Network): PlacedAccount {
  const key = accountKey(given.type, given.index, given.keyClass)
  if (!keylessTypes.has(given.type)) {
    throw new InvalidAccountOptions('a type that a keyless wallet cannot have')
  }
  checkAccountKeys([key])
  const path = accountPath(key, network)
  const last = path.at(-1)
  const node = parseXpub(given.xpub, network)
  const inPlace =
    node.depth === path.length &&
    node.child.index === last?.index &&
    node.child.hardened === last.hardened
  if (!inPlace) {
    throw new MalformedXpub(`is not the key of ${accountName(key)} at ${formatPath(path)}`)
  }
  return { account: { ...key, path: formatPath(path), xpub: given.xpub }, node }
}

/** DashPay accounts need contacts, and node keys have no extended public key. */
const keylessTypes: ReadonlySet<AccountType> = new Set(
  accountTypes.filter((type) => type !== 'provider_platform' && !type.startsWith('dashpay_')),
)

function emptyChangeset(facts: CandidateFacts): Omit<Changeset, 'walletId' | 'groupId'> {
  const { network, birthHeight, createdAtMs } = facts
  return {
    network,
    birthHeight: checkBirthHeight(birthHeight),
    createdAtMs,
    accounts: [],
    pools: [],
    platformAddresses: [],
    platformSync: { syncHeight: 0n, syncTimestampS: 0n, lastKnownRecentBlock: 0n },
  }
}

const poolsOf = (account: Account, node: PublicNode, gaps: Gaps): readonly Pool[] =>
  chainsOf(account.type).map((chain) => {
    const keys = chainKeys(node, account.type, chain)
    return buildPool({ account: keyOf(account), chain, gap: gaps[account.type] }, keys)
  })

const keyOf = ({ type, index, keyClass, ownIdentity, contactIdentity }: Account): AccountKey => ({
  type,
  index,
  keyClass,
  ownIdentity,
  contactIdentity,
})

function nodePools(
  seed: Uint8Array,
  input: Pick<CandidateFacts, 'network'> & {
    readonly onNodeKeyFailure?: ((cause: unknown) => void) | undefined
  },
  gap: number,
): readonly Pool[] {
  try {
    return [buildNodePool(accountKey('provider_platform'), gap, nodeKeys(seed, input.network))]
  } catch (cause) {
    // An OpenSSL without Ed25519 costs the wallet its node keys, never its registration (specification 3, note 3).
    input.onNodeKeyFailure?.(cause)
    return []
  }
}
