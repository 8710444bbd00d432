import { createBase58check } from '@scure/base'
import { concatBytes, sha256, toHex, wipe } from '../base/bytes.js'
import { isCompressedPoint } from '../base/curve.js'
import { HoldfastError } from '../base/errors.js'
import type { Network } from './network.js'
import { type ChildNumber, isWide } from './paths.js'

/** A node of the key tree without its private key. */
export type PublicNode = {
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes. */
  readonly chainCode: Uint8Array
  /** Levels below the root, 0 to 255. */
  readonly depth: number
  /** First four bytes of the parent key's HASH160; zeros at the root. */
  readonly parentFingerprint: Uint8Array
  /** Number 0 at the root. */
  readonly child: ChildNumber
}

/** A node with its private key (32 bytes); whoever made it wipes it. */
export type PrivateNode = PublicNode & { readonly privateKey: Uint8Array }

const base58check = createBase58check(sha256)

type Versions = { readonly xpub: number; readonly xprv: number }
const mainVersions = {
  narrow: { xpub: 0x0488b21e, xprv: 0x0488ade4 },
  wide: { xpub: 0x0eecefc5, xprv: 0x0eecf02e },
}
const testVersions = {
  narrow: { xpub: 0x043587cf, xprv: 0x04358394 },
  wide: { xpub: 0x0eed270b, xprv: 0x0eed2774 },
}
const versionsOf = (network: Network): { readonly narrow: Versions; readonly wide: Versions } =>
  network === 'mainnet' ? mainVersions : testVersions

const narrowBytes = 78
const wideBytes = 107
/** Longer than any extended key; base58 takes quadratic time, so the text is bounded before it is read. */
const textMax = 160

/** Text of the node's public half (BIP-32; DIP-14 when its child number has 256 bits). */
export function encodeXpub(node: PublicNode, network: Network): string {
  const versions = versionsOf(network)[isWide(node.child) ? 'wide' : 'narrow']
  return base58check.encode(serialize(node, versions.xpub, node.publicKey))
}

/** Text of the whole node, private key included: as secret as a seed. */
export function encodeXprv(node: PrivateNode, network: Network): string {
  const versions = versionsOf(network)[isWide(node.child) ? 'wide' : 'narrow']
  const key = concatBytes(new Uint8Array(1), node.privateKey)
  const whole = serialize(node, versions.xprv, key)
  const text = base58check.encode(whole)
  wipe(key, whole)
  return text
}

// BIP-32: version(4) | depth(1) | parentFingerprint(4) | child(4, BE) | chainCode(32) | key(33)
// DIP-14: version(4) | depth(1) | parentFingerprint(4) | hardened(1) | child(32, BE) | chainCode(32) | key(33)
function serialize(node: PublicNode, version: number, key: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(version, 0)
  head.writeUInt8(node.depth, 4)
  const number = isWide(node.child)
    ? concatBytes(Uint8Array.of(node.child.hardened ? 1 : 0), childNumberBytes(node.child))
    : childNumberBytes(node.child)
  return concatBytes(head, node.parentFingerprint, number, node.chainCode, key)
}

/** The child number as it is hashed: four bytes with the hardened mark (BIP-32), or 32 without one (DIP-14). */
export function childNumberBytes(child: ChildNumber): Uint8Array {
  const wide = isWide(child)
  const value = child.index + (child.hardened && !wide ? 2n ** 31n : 0n)
  return new Uint8Array(Buffer.from(value.toString(16).padStart(wide ? 64 : 8, '0'), 'hex'))
}

/**
 * Reads the text of a public node.
 *
 * @throws MalformedXpub on anything but a public node of this network with a point on the curve, written the
 * one way that `encodeXpub` writes it
 */
export function parseXpub(text: string, network: Network): PublicNode {
  const bytes = decodeText(text)
  const version = bytes.readUInt32BE(0)
  const { narrow, wide } = versionsOf(network)
  if (version !== narrow.xpub && version !== wide.xpub) {
    throw new MalformedXpub('does not start with the version of a public key of this network')
  }
  const isWideText = version === wide.xpub
  if (bytes.length !== (isWideText ? wideBytes : narrowBytes)) {
    throw new MalformedXpub(
      `has ${bytes.length} bytes, want ${isWideText ? wideBytes : narrowBytes}`,
    )
  }
  const chainCodeAt = bytes.length - 65
  const node: PublicNode = {
    publicKey: new Uint8Array(bytes.subarray(chainCodeAt + 32)),
    chainCode: new Uint8Array(bytes.subarray(chainCodeAt, chainCodeAt + 32)),
    depth: bytes.readUInt8(4),
    parentFingerprint: new Uint8Array(bytes.subarray(5, 9)),
    child: isWideText ? readWideChild(bytes) : readNarrowChild(bytes),
  }
  if (!isCompressedPoint(node.publicKey)) throw new MalformedXpub('holds no point on the curve')
  checkRoot(node)
  return node
}

function decodeText(text: string): Buffer {
  if (typeof text !== 'string' || text.length > textMax) {
    throw new MalformedXpub(`is not a text of at most ${textMax} characters`)
  }
  try {
    const bytes = Buffer.from(base58check.decode(text))
    if (bytes.length >= narrowBytes) return bytes
  } catch {
    // The library's message may quote the text, which could be a private key pasted by mistake.
    throw new MalformedXpub('is not base58 with a right checksum')
  }
  throw new MalformedXpub('is too short')
}

function readNarrowChild(bytes: Buffer): ChildNumber {
  const number = bytes.readUInt32BE(9)
  return { index: BigInt(number % 2 ** 31), hardened: number >= 2 ** 31 }
}

function readWideChild(bytes: Buffer): ChildNumber {
  const flag = bytes.readUInt8(9)
  const child = { index: BigInt(`0x${toHex(bytes.subarray(10, 42))}`), hardened: flag === 1 }
  if (flag > 1 || !isWide(child)) throw new MalformedXpub('has no 256-bit child number')
  return child
}

function checkRoot(node: PublicNode): void {
  const parentless = node.parentFingerprint.every((byte) => byte === 0)
  const unnumbered = node.child.index === 0n && !node.child.hardened
  if (node.depth === 0 && !(parentless && unnumbered)) {
    throw new MalformedXpub('has depth 0 and a parent or a child number')
  }
}

/** A text that is not the extended public key it should be; the text is never repeated. */
export class MalformedXpub extends HoldfastError {
  readonly code = 'MalformedXpub'
  constructor(detail: string) {
    super(`extended public key: ${detail}`, {
      retry: 'after-fix',
      remedy: 'Copy the extended public key again, and check that it was made for this network.',
    })
  }
}
