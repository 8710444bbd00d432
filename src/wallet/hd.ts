import { createHmac } from 'node:crypto'
import { concatBytes, wipe } from '../base/bytes.js'
import {
  addTweakToPoint,
  addTweakToScalar,
  hash160,
  isPrivateKey,
  publicKeyOf,
  uncompressPoint,
} from '../base/curve.js'
import { HoldfastError } from '../base/errors.js'
import { childNumberBytes, type PrivateNode, type PublicNode } from './extended-key.js'
import { type ChildNumber, InvalidPath, normal } from './paths.js'

const masterHmacKey = Buffer.from('Bitcoin seed')
const seedBytesMin = 16
const seedBytesMax = 64
const depthMax = 255
const normalEnd = 2 ** 31

/**
 * Root of a seed's key tree (BIP-32).
 *
 * @param seed - 16 to 64 bytes; neither kept nor changed
 * @throws InvalidSeed
 */
export function masterNode(seed: Uint8Array): PrivateNode {
  if (!(seed instanceof Uint8Array)) throw new InvalidSeed('is not a Uint8Array')
  if (seed.length < seedBytesMin || seed.length > seedBytesMax) {
    throw new InvalidSeed(`has ${seed.length} bytes, want ${seedBytesMin} to ${seedBytesMax}`)
  }
  const [privateKey, chainCode] = hmacHalves(masterHmacKey, seed)
  if (!isPrivateKey(privateKey)) throw new InvalidSeed('has no master key')
  const publicKey = publicKeyOf(privateKey)
  return {
    privateKey,
    publicKey,
    chainCode,
    depth: 0,
    parentFingerprint: new Uint8Array(4),
    child: normal(0),
  }
}

/**
 * Walks down from a node that has its private key (BIP-32, 256-bit levels after DIP-14).
 *
 * @returns a node of the caller's own, which it wipes; nodes on the way are wiped here
 * @throws InvalidPath when a level has no key, or the tree would grow deeper than 255
 */
export function derivePrivate(node: PrivateNode, path: readonly ChildNumber[]): PrivateNode {
  let here: PrivateNode = { ...node, privateKey: Uint8Array.from(node.privateKey) }
  for (const child of path) {
    const parent = here
    try {
      here = privateChild(parent, child)
    } finally {
      wipe(parent.privateKey)
    }
  }
  return here
}

function privateChild(parent: PrivateNode, child: ChildNumber): PrivateNode {
  const head = child.hardened
    ? concatBytes(new Uint8Array(1), parent.privateKey)
    : Uint8Array.from(parent.publicKey)
  const data = concatBytes(head, childNumberBytes(child))
  const [tweak, chainCode] = hmacHalves(parent.chainCode, data)
  const privateKey = addTweakToScalar(parent.privateKey, tweak)
  wipe(head, data, tweak)
  if (privateKey === undefined) throw keyless(parent)
  return { privateKey, ...childNode(parent, child, chainCode, publicKeyOf(privateKey)) }
}

/**
 * Walks down from a public node.
 *
 * @throws RangeError when a level is hardened: only the private key has those
 * @throws InvalidPath as in `derivePrivate`
 */
export function derivePublic(node: PublicNode, path: readonly ChildNumber[]): PublicNode {
  return path.reduce(publicChild, node)
}

function publicChild(parent: PublicNode, child: ChildNumber): PublicNode {
  if (child.hardened) throw new RangeError('child number: hardened, a public node has none')
  const data = concatBytes(parent.publicKey, childNumberBytes(child))
  const [tweak, chainCode] = hmacHalves(parent.chainCode, data)
  const publicKey = addTweakToPoint(uncompressPoint(parent.publicKey), tweak)
  if (publicKey === undefined) throw keyless(parent)
  return childNode(parent, child, chainCode, publicKey)
}

/**
 * Answers the compressed public key of each non-hardened child of a node.
 *
 * @remarks The path of every address: what depends on the parent alone is computed once, and the child's chain
 * code is never taken.
 */
export function childKeys(parent: PublicNode): (index: number) => Uint8Array {
  const point = uncompressPoint(parent.publicKey)
  // parentKey(33) | index(4, BE)
  const data = Buffer.alloc(37)
  data.set(parent.publicKey)
  return (index) => {
    if (!(Number.isInteger(index) && index >= 0 && index < normalEnd)) {
      throw new RangeError('address index: want 0 to 2^31 - 1')
    }
    data.writeUInt32BE(index, 33)
    const digest = createHmac('sha512', parent.chainCode).update(data).digest()
    const key = addTweakToPoint(point, digest.subarray(0, 32))
    if (key === undefined) throw keyless(parent)
    return key
  }
}

/** The public half of a node. */
export function neuter(node: PrivateNode): PublicNode {
  const { publicKey, chainCode, depth, parentFingerprint, child } = node
  return { publicKey, chainCode, depth, parentFingerprint, child }
}

function childNode(
  parent: PublicNode,
  child: ChildNumber,
  chainCode: Uint8Array,
  publicKey: Uint8Array,
): PublicNode {
  if (parent.depth >= depthMax) throw new InvalidPath(`leads below level ${depthMax}`)
  return {
    publicKey,
    chainCode,
    depth: parent.depth + 1,
    parentFingerprint: hash160(parent.publicKey).slice(0, 4),
    child,
  }
}

function hmacHalves(key: Uint8Array, data: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const digest = createHmac('sha512', key).update(data).digest()
  const halves = [
    new Uint8Array(digest.subarray(0, 32)),
    new Uint8Array(digest.subarray(32)),
  ] as const
  wipe(digest)
  return halves
}

/** BIP-32 leaves out about one child number in 2^127. */
const keyless = (parent: PublicNode): InvalidPath =>
  new InvalidPath(`level ${parent.depth + 1} has no key at this number`)

/** A seed of the wrong length, or (one in 2^127) without a master key. */
export class InvalidSeed extends HoldfastError {
  readonly code = 'InvalidSeed'
  constructor(detail: string) {
    super(`seed: ${detail}`, {
      retry: 'after-fix',
      remedy: 'Pass the 64 bytes that BIP-39 derives from the recovery words.',
    })
  }
}
