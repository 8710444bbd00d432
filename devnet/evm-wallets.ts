import { secp256k1 } from '@noble/curves/secp256k1.js'
import { ripemd160 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import {
  type Address,
  concat,
  encodeAbiParameters,
  type Hex,
  keccak256,
  numberToHex,
  pad,
  toHex,
} from 'viem'
import type { EvmChain } from './evm-chain.js'
import type { Contracts } from './evm-contracts.js'

/** A wallet of the devnet with its one key. */
export type DevnetWallet = {
  readonly secret: Uint8Array
  /** 33 bytes. */
  readonly compressedKey: Uint8Array
  /** HASH160 of the compressed key, 20 bytes. */
  readonly pkh20: Uint8Array
  readonly x: Hex
  readonly y: Hex
  /** keccak256 of X and Y. */
  readonly walletId: Hex
  /** Ids of the operators, in the group's order. */
  readonly members: readonly number[]
  readonly membersIdsHash: Hex
}

const groupSize = 100
const dayS = 86_400
/** Blocks in which a key generation result can be challenged; the contract's default takes too long to mine. */
const challengeBlocks = 10

/** Puts the one operator into the pool and lets the Bridge own the registry; once for each deployment. */
export async function prepareOperators(chain: EvmChain, contracts: Contracts): Promise<void> {
  const { bridge, registry, pool, reimbursement } = contracts
  await chain.send(pool, 'deactivateChaosnet')
  await chain.send(pool, 'insertOperator', [chain.deployer, 10n ** 22n])
  await chain.send(pool, 'transferOwnership', [registry.address])
  await chain.send(reimbursement, 'authorize', [registry.address])
  await chain.pay(reimbursement.address, 10n ** 18n)
  await chain.send(registry, 'updateWalletOwner', [bridge.address])
  const parameters = [11_520n, BigInt(challengeBlocks), 50_000n, 2575n, 20n]
  await chain.send(registry, 'updateDkgParameters', parameters)
}

/** Registers a wallet the contracts' own way: request, beacon, result, challenge period, approval. */
export async function registerWallet(
  chain: EvmChain,
  { bridge, registry, pool, beacon }: Contracts,
  secret: Uint8Array,
): Promise<DevnetWallet> {
  const operator = Number(await chain.read(pool, 'getOperatorID', [chain.deployer]))
  const wallet = walletOf(secret, operator)
  await chain.as(bridge.address, (from) => chain.send(registry, 'requestNewWallet', [], from))
  await chain.as(beacon, (from) => chain.send(registry, '__beaconCallback', [12_345n, 0n], from))
  const result = {
    submitterMemberIndex: 1n,
    groupPubKey: concat([wallet.x, wallet.y]),
    misbehavedMembersIndices: [],
    signatures: '0x',
    signingMembersIndices: [],
    members: wallet.members,
    membersHash: wallet.membersIdsHash,
  }
  await chain.send(registry, 'submitDkgResult', [result])
  await chain.admin.mine({ blocks: challengeBlocks + 1 })
  await chain.send(registry, 'approveDkgResult', [result])
  return wallet
}

/** A failed heartbeat: a wallet without funds goes to state 3, Closing. */
export async function startClosing(
  chain: EvmChain,
  { bridge, registry }: Contracts,
  { walletId, x, y }: DevnetWallet,
): Promise<void> {
  await chain.as(registry.address, (from) =>
    chain.send(bridge, '__ecdsaWalletHeartbeatFailedCallback', [walletId, x, y], from),
  )
}

/** From Closing to state 4, Closed; the registry deletes its entry. */
export async function finishClosing(
  chain: EvmChain,
  { bridge }: Contracts,
  { pkh20 }: DevnetWallet,
): Promise<void> {
  await chain.later(41 * dayS)
  await chain.send(bridge, 'notifyWalletClosingPeriodElapsed', [toHex(pkh20)])
}

/** A signature over two rounds of SHA-256, as the Bridge takes it for a proof of fraud. */
export type FraudProof = {
  readonly preimage: Uint8Array
  readonly r: Hex
  readonly s: Hex
  readonly v: number
}

/** Signs a preimage, for example of a Bitcoin input, with the wallet's key. */
export function signPreimage({ secret }: DevnetWallet, preimage: Uint8Array): FraudProof {
  const digest = sha256(sha256(preimage))
  const bytes = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered' })
  const [recovery = 0] = bytes
  return { preimage, r: toHex(bytes.slice(1, 33)), s: toHex(bytes.slice(33)), v: 27 + recovery }
}

/** Submits a proof of fraud with its deposit; resolves when the Bridge has accepted it. */
export async function challengeFraud(
  chain: EvmChain,
  { bridge }: Contracts,
  { x, y }: DevnetWallet,
  { preimage, r, s, v }: FraudProof,
): Promise<void> {
  const args = [concat([x, y]), toHex(sha256(preimage)), { r, s, v }]
  await chain.send(bridge, 'submitFraudChallenge', args, { value: 5n * 10n ** 18n })
}

/** Tries to defeat a challenge with the preimage of a witness input; rejects when the Bridge refuses. */
export async function defeatFraud(
  chain: EvmChain,
  { bridge }: Contracts,
  { x, y }: DevnetWallet,
  { preimage }: FraudProof,
): Promise<void> {
  const args = [concat([x, y]), toHex(preimage), true]
  await chain.send(bridge, 'defeatFraudChallenge', args)
}

/** An undefeated fraud challenge: state 5, Terminated; the registry deletes its entry. */
export async function terminate(
  chain: EvmChain,
  contracts: Contracts,
  wallet: DevnetWallet,
): Promise<void> {
  const proof = signPreimage(wallet, new Uint8Array(32).fill(1))
  await challengeFraud(chain, contracts, wallet, proof)
  await chain.later(8 * dayS)
  const args = [concat([wallet.x, wallet.y]), wallet.members, toHex(sha256(proof.preimage))]
  await chain.send(contracts.bridge, 'notifyFraudChallengeDefeatTimeout', args)
}

const stateWord = 2n
const stateBit = 192n

/** Writes a wallet's state into the Bridge's storage, for states that take a long way to reach. */
export async function writeState(
  { admin, reader }: EvmChain,
  { bridge }: Contracts,
  pkh20: Uint8Array,
  state: number,
): Promise<void> {
  const { address } = bridge
  const base = await mappingBase(reader, bridge.address, pkh20)
  const slot = numberToHex(BigInt(base) + stateWord, { size: 32 })
  const word = BigInt((await reader.getStorageAt({ address, slot })) ?? '0x0')
  const changed = (word & ~(0xffn << stateBit)) | (BigInt(state) << stateBit)
  await admin.setStorageAt({ address, index: slot, value: numberToHex(changed, { size: 32 }) })
}

/** Where a wallet's record begins: the one key of a mapping that reading it touches. */
async function mappingBase(
  reader: EvmChain['reader'],
  bridge: Address,
  pkh20: Uint8Array,
): Promise<Hex> {
  const key = pad(toHex(pkh20), { dir: 'right', size: 32 })
  const selector = keccak256(toHex('wallets(bytes20)')).slice(0, 10) as Hex // 4 bytes of hex
  const { accessList } = await reader.createAccessList({
    to: bridge,
    data: concat([selector, key]),
  })
  const touched = new Set(accessList.flatMap(({ storageKeys }) => storageKeys))
  for (let slot = 0; slot < 400; slot += 1) {
    const base = keccak256(concat([key, numberToHex(slot, { size: 32 })]))
    if (touched.has(base)) return base
  }
  throw new Error('Bridge: no mapping holds this wallet; its storage layout has changed')
}

function walletOf(secret: Uint8Array, operator: number): DevnetWallet {
  const point = secp256k1.getPublicKey(secret, false)
  const compressedKey = secp256k1.getPublicKey(secret, true)
  const x = toHex(point.slice(1, 33))
  const y = toHex(point.slice(33))
  const members = Array.from({ length: groupSize }, () => operator)
  return {
    secret,
    compressedKey,
    pkh20: ripemd160(sha256(compressedKey)),
    x,
    y,
    walletId: keccak256(concat([x, y])),
    members,
    membersIdsHash: keccak256(encodeAbiParameters([{ type: 'uint32[]' }], [members])),
  }
}
