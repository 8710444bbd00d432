import { HoldfastError } from '../base/errors.js'

/** The Dash networks; devnet and regtest derive and encode like testnet. */
export type Network = 'mainnet' | 'testnet' | 'devnet' | 'regtest'

export const networks: readonly Network[] = ['mainnet', 'testnet', 'devnet', 'regtest']

/** @throws InvalidNetwork unless the text is one of the four names. */
export function parseNetwork(text: string): Network {
  const network = networks.find((name) => name === text)
  if (network === undefined) throw new InvalidNetwork(text)
  return network
}

/** Hardened coin type of BIP-44 and DIP-9 paths: 5 on mainnet, 1 elsewhere. */
export const coinType = (network: Network): number => (network === 'mainnet' ? 5 : 1)

/** The byte that a wallet id ends in: a frozen wire value, never an ordinal. */
export const networkByte: Readonly<Record<Network, number>> = {
  mainnet: 0,
  testnet: 1,
  devnet: 2,
  regtest: 3,
}

export class InvalidNetwork extends HoldfastError {
  readonly code = 'InvalidNetwork'
  constructor(text: string) {
    super(
      `network: ${JSON.stringify(text.slice(0, 32))} is not known, want one of ${networks.join(', ')}`,
      {
        retry: 'after-fix',
        remedy: 'Name one of the four networks.',
      },
    )
  }
}
