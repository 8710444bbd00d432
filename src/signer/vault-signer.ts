import { sign, verify } from 'tiny-secp256k1'
import { equalBytes, toHex, wipe } from '../base/bytes.js'
import { hash160, isPrivateKey, publicKeyOf } from '../base/curve.js'
import { HoldfastError, throwIfAborted } from '../base/errors.js'
import type { Hex, Signer } from '../covenant/signer.js'
import { type BoundSecret, type Vault, VaultLocked } from '../vault/vault.js'
import { encodeDerSignature } from './der.js'

/** A signer whose keys lie in the vault. */
export type VaultSigner = Signer & {
  /** Compressed, lower-case hex with 0x, in the order of their labels. */
  readonly publicKeys: readonly string[]
}

/**
 * Makes a signer of the vault's bound secrets (`covenant bind`).
 *
 * @remarks Which keys it has is read once, here; a secret itself is read for each signature and wiped after it.
 * Nonces are those of RFC 6979, so the same digest gives the same signature. Every signature is verified against the
 * public key before it is handed out.
 * @throws VaultLocked
 */
export async function openVaultSigner(
  vault: Pick<Vault, 'locked' | 'read' | 'listBound'>,
): Promise<VaultSigner> {
  if (vault.locked) throw new VaultLocked()
  const keys = new Map<string, BoundSecret>()
  for (const secret of (await vault.listBound()).bound) {
    const publicKey = `0x${toHex(secret.publicKey)}`
    if (!keys.has(publicKey)) keys.set(publicKey, secret)
  }
  const hashes = new Map(
    [...keys].map(([publicKey, secret]) => [toHex(hash160(secret.publicKey)), publicKey as Hex]),
  )
  return {
    publicKeys: [...keys.keys()],
    controls: async (publicKey) => keys.has(publicKey.toLowerCase()),
    findKey: async (pkh20) => hashes.get(toHex(pkh20)),
    async sign(publicKey, digest32, _context, signal) {
      throwIfAborted(signal, 'signer')
      if (digest32.length !== 32) throw new RangeError('signer: want a digest of 32 bytes')
      const bound = keys.get(publicKey.toLowerCase())
      if (bound === undefined) throw new SignerKeyUnbound(publicKey)
      return signWith(vault, bound, digest32)
    },
  }
}

async function signWith(
  vault: Pick<Vault, 'read'>,
  { walletId, label, publicKey }: BoundSecret,
  digest32: Uint8Array,
): Promise<Uint8Array> {
  const secret = await vault.read({ walletId, label })
  try {
    if (secret === undefined) throw new SignerKeyUnusable(label, 'it is gone')
    // The binding lies beside the secret unsealed, and a damaged key must not sign.
    if (!isPrivateKey(secret) || !equalBytes(publicKeyOf(secret), publicKey)) {
      throw new SignerKeyUnusable(label, 'it is not the key it was bound to')
    }
    const compact = sign(digest32, secret)
    // A fault while signing could give the key away: such a signature is never handed out.
    if (!verify(digest32, publicKey, compact, true)) throw new SignatureFaulty(label)
    return encodeDerSignature(compact)
  } finally {
    wipe(secret)
  }
}

/** No secret of the vault is bound to the key. */
export class SignerKeyUnbound extends HoldfastError {
  readonly code = 'SignerKeyUnbound'
  constructor(publicKey: string) {
    super(`signer: no secret is bound to ${publicKey.slice(0, 68)}`, {
      retry: 'after-fix',
      remedy: 'Stop the daemon, run "holdfast covenant bind" for this key, and start again.',
    })
  }
}

/** The secret that is bound to a key cannot sign for it. */
export class SignerKeyUnusable extends HoldfastError {
  readonly code = 'SignerKeyUnusable'
  constructor(label: string, problem: string) {
    super(`signer: secret "${label}" cannot be used, ${problem}`, {
      retry: 'after-fix',
      remedy: 'Restore the vault from a backup, or add the key again and bind it.',
    })
  }
}

/** A signature that was just made does not verify; it was thrown away. */
export class SignatureFaulty extends HoldfastError {
  readonly code = 'SignatureFaulty'
  constructor(label: string) {
    super(`signer: a signature with secret "${label}" does not verify and was thrown away`, {
      retry: 'safe',
      remedy: 'Check memory and processor of this machine when it happens again.',
    })
  }
}
