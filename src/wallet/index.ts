// Every public name of the wallet room, one by one.
export { Aborted, HoldfastError, isHoldfastError, type Retry } from '../base/errors.js'
export type { FaultPoints } from '../base/fault-points.js'
export { type Generation, type GroupId, parseWalletId, type WalletId } from '../base/ids.js'
export { type PersistenceKind, StoreFailed } from '../base/persistence.js'
export type { AddressFunds, DashReader, Reading } from '../chain/reader.js'
export { type SecretRef, type Vault, VaultLocked } from '../vault/vault.js'
export type { Account, AccountKey, AccountType } from './account.js'
export { type AccountOptions, type Gaps, InvalidAccountOptions } from './accounts.js'
export { SeedMismatch } from './attach.js'
export { type Checkpoints, InvalidBirthHeight } from './birth-height.js'
export type { WatchOnlyAccount } from './candidate.js'
export type { Changeset, StoredWallet } from './changeset.js'
export {
  type CoreAddress,
  coreAddress,
  decodeCoreAddress,
  InvalidCoreAddress,
} from './core-address.js'
export { type DerivedKey, type DerivedWallet, derivePath256, deriveWallet } from './derive.js'
export type { WalletEvent, WalletListener } from './events.js'
export { MalformedXpub } from './extended-key.js'
export type { Warning } from './finalise.js'
export type { AddressKind, WalletAddress, WalletHandle } from './handle.js'
export { InvalidSeed } from './hd.js'
export { StaleGeneration, WalletNotFound } from './live.js'
export { type LoadOutcome, type Skipped, WalletLost } from './load.js'
export {
  type CreateOptions,
  ManagerClosed,
  WalletManager,
  type WalletManagerOptions,
  type WatchOnlyKeys,
} from './manager.js'
export { InvalidMnemonic, newPhrase, seedFromPhrase, type WordCount } from './mnemonic.js'
export { InvalidNetwork, type Network, networks, parseNetwork } from './network.js'
export { InvalidPath } from './paths.js'
export {
  decodePlatformAddress,
  encodePlatformAddress,
  InvalidPlatformAddress,
  type PlatformAddress,
} from './platform-address.js'
export { QueueFull } from './queue.js'
export type { RecoveryReport } from './recover.js'
export {
  PersisterLoad,
  PersisterPromote,
  PersisterReserve,
  PromoteOutcomeUnknown,
  SecretStage,
  WalletAlreadyExists,
  WalletQuarantined,
} from './register.js'
export { RestoreFailed } from './restore.js'
export type {
  Corruption,
  CorruptKind,
  JournalRow,
  QuarantinedWallet,
  WalletStatus,
  WalletStore,
} from './store.js'
