// The public surface of the chain room.
export { bitcoinReader } from './bitcoin/combined.js'
export { type ElectrumOptions, electrumReader } from './bitcoin/electrum.js'
export { BitcoinUnavailable } from './bitcoin/fault.js'
export type {
  BitcoinFault,
  BitcoinNetwork,
  BitcoinReader,
  CheckedBitcoinReader,
  Lookup,
  OutputStatus,
  SourceCheck,
} from './bitcoin/reader.js'
export { type BitcoinRpcOptions, bitcoinRpcReader } from './bitcoin/rpc.js'
export { type BitcoinSourceOptions, bitcoinSource } from './bitcoin/source.js'
export { offlineDash } from './dash/offline.js'
export type { EndpointCheck } from './ethereum/endpoint-check.js'
export {
  type EthereumReader,
  type EthereumReaderOptions,
  ethereumReader,
} from './ethereum/ethereum-reader.js'
export {
  type ChainFault,
  ChainUnavailable,
  type Hex32,
  type RegistryFault,
  type RegistryOutage,
  type RegistryView,
  type WalletChainData,
  WalletNotFound,
  type WalletReader,
  type WalletState,
  walletStates,
} from './ethereum/reader.js'
export type { AddressFunds, DashReader, Reading } from './reader.js'
