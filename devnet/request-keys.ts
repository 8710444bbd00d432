import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { publicKeyOf } from '../src/base/curve.js'

/** Who signs requests on the devnet. Everybody knows these keys: they hold nothing outside of it. */
export const devnetSecrets = {
  wallet: secretOf(0x5e),
  depositor: secretOf(0x0d),
  custodian: secretOf(0x0c),
} as const

/** The compressed keys of depositor and custodian. */
export const devnetKeys = {
  depositor: publicKeyOf(devnetSecrets.depositor),
  custodian: publicKeyOf(devnetSecrets.custodian),
} as const

const quoteSeed = new Uint8Array(32).fill(0x0e)
/** PKCS #8 of an Ed25519 key, up to its 32 bytes (RFC 8410). */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Signs migration plan quotes on the devnet. */
export const quoteIssuer: {
  readonly keyId: string
  readonly publicKeyPem: string
  readonly privateKey: KeyObject
} = quoteIssuerOf(quoteSeed)

function quoteIssuerOf(seed: Uint8Array): typeof quoteIssuer {
  const key = Buffer.concat([ed25519Prefix, seed])
  const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  const publicKeyPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' })
  return { keyId: 'devnet-quotes', publicKeyPem: publicKeyPem.toString(), privateKey }
}

function secretOf(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte)
}
