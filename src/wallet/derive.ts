import { sha256, toHex, wipe } from '../base/bytes.js'
import { type GroupId, parseGroupId, parseWalletId, type WalletId } from '../base/ids.js'
import { deriveAccount, planAccounts } from './accounts.js'
import { encodeXprv, encodeXpub, type PrivateNode, type PublicNode } from './extended-key.js'
import { derivePrivate, InvalidSeed, masterNode } from './hd.js'
import { seedFromPhrase } from './mnemonic.js'
import { type Network, networkByte, parseNetwork } from './network.js'
import { parsePath } from './paths.js'

/** Recovery words with the empty BIP-39 passphrase, or the 64-byte seed itself. */
export type SeedSource = { readonly phrase: string } | { readonly seed: Uint8Array }

/** Public facts of a wallet, as its registration would store them. */
export type DerivedWallet = {
  readonly walletId: WalletId
  readonly groupId: GroupId
  /** The default accounts in the specification's order. */
  readonly accounts: readonly {
    readonly type: string
    readonly path: string
    readonly xpub: string
  }[]
}

/**
 * Ids and default accounts of a wallet.
 *
 * @example
 * const { walletId } = deriveWallet({ phrase, network: 'testnet' })
 * @throws InvalidMnemonic, InvalidSeed, InvalidNetwork
 */
export function deriveWallet(input: SeedSource & { readonly network: Network }): DerivedWallet {
  const network = parseNetwork(input.network)
  const seed = seedOf(input)
  try {
    return withRoot(seed, (root) => ({
      walletId: walletIdOf(root, network),
      groupId: groupIdOf(root),
      accounts: planAccounts('default').accounts.map((key) => {
        const { type, path, xpub } = deriveAccount(root, key, network).account
        return { type, path, xpub }
      }),
    }))
  } finally {
    wipe(seed)
  }
}

/**
 * A seed of the caller's own, 64 bytes, which it wipes; the source is not changed.
 *
 * @throws InvalidMnemonic, InvalidSeed
 */
export function seedOf(source: SeedSource): Uint8Array {
  if ('phrase' in source) return seedFromPhrase(source.phrase)
  const { seed } = source
  if (!(seed instanceof Uint8Array)) throw new InvalidSeed('is not a Uint8Array, want 64 bytes')
  if (seed.length !== 64) throw new InvalidSeed(`has ${seed.length} bytes, want 64`)
  return Uint8Array.from(seed)
}

/** Runs `work` with the seed's root key and wipes that key afterwards; the seed stays. */
export function withRoot<T>(seed: Uint8Array, work: (root: PrivateNode) => T): T {
  const root = masterNode(seed)
  try {
    return work(root)
  } finally {
    wipe(root.privateKey)
  }
}

/** Id of a root key's wallet on one network. */
export function walletIdOf(root: PublicNode, network: Network): WalletId {
  // SHA-256( publicKey(33) | chainCode(32) | "N" | networkByte(1) )
  const scope = Uint8Array.of(0x4e, networkByte[network])
  return parseWalletId(toHex(sha256(root.publicKey, root.chainCode, scope)))
}

/** Id that a root key's wallets share on every network. */
export function groupIdOf(root: PublicNode): GroupId {
  // SHA-256( publicKey(33) | chainCode(32) )
  return parseGroupId(toHex(sha256(root.publicKey, root.chainCode)))
}

/** One key of the tree with both texts; the private parts are the caller's to protect and wipe. */
export type DerivedKey = {
  /** 32 bytes. */
  readonly privateKey: Uint8Array
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array
  readonly extendedPublic: string
  readonly extendedPrivate: string
}

/**
 * Derives one key by path, 256-bit levels included (BIP-32, DIP-14).
 *
 * @param input - a seed of 16 to 64 bytes, neither kept nor changed, and a path like `m/9'/5'/15'/0'/0x…/0`
 * @throws InvalidSeed, InvalidPath, InvalidNetwork
 */
export function derivePath256(input: {
  readonly seed: Uint8Array
  readonly path: string
  readonly network: Network
}): DerivedKey {
  const network = parseNetwork(input.network)
  const path = parsePath(input.path)
  const node = withRoot(input.seed, (root) => derivePrivate(root, path))
  return {
    privateKey: node.privateKey,
    publicKey: node.publicKey,
    extendedPublic: encodeXpub(node, network),
    extendedPrivate: encodeXprv(node, network),
  }
}
