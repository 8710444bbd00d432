import { HoldfastError } from '../base/errors.js'
import type { Network } from './network.js'

/** Known block heights of each network, any order. */
export type Checkpoints = Readonly<Record<Network, readonly number[]>>

/** The built-in table: empty, so that a wallet without height and tip scans from the start. */
export const noCheckpoints: Checkpoints = { mainnet: [], testnet: [], devnet: [], regtest: [] }

const heightMax = 0xffff_ffff

/**
 * Block height before which a new wallet has no history.
 *
 * @param input.explicit - the caller's own height; 0 means from the start and stays 0
 * @param input.tip - height of the synced chain, 0 when nothing is synced
 * @param input.checkpoints - heights known of the wallet's network, any order
 * @returns the explicit height, else a tip above 0, else the latest checkpoint, else 0
 * @throws InvalidBirthHeight
 */
export function resolveBirthHeight(input: {
  readonly explicit?: number | undefined
  readonly tip?: bigint | undefined
  readonly checkpoints?: readonly number[] | undefined
}): number {
  const { explicit, tip = 0n, checkpoints = [] } = input
  if (explicit !== undefined) return checkBirthHeight(explicit)
  if (tip > 0n) return checkBirthHeight(Number(tip))
  return checkBirthHeight(Math.max(0, ...checkpoints))
}

/** @throws InvalidBirthHeight unless it is a whole number from 0 to 2^32 - 1 */
export function checkBirthHeight(height: number): number {
  if (!(Number.isInteger(height) && height >= 0 && height <= heightMax)) {
    throw new InvalidBirthHeight()
  }
  return height
}

/** A birth height that is no block height. */
export class InvalidBirthHeight extends HoldfastError {
  readonly code = 'InvalidBirthHeight'
  constructor() {
    super('birth height: not a block height, want a whole number from 0 to 4294967295', {
      retry: 'after-fix',
      remedy: 'Give a block height, or leave it out.',
    })
  }
}
