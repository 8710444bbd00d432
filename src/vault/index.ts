export { KeyMismatch } from './binding.js'
export {
  Corruption,
  ExpectedProtectedButUnsealed,
  NeedsPassword,
  SecretTooLarge,
  UnsupportedEnvelopeVersion,
  WrongPassword,
} from './envelope.js'
export { createFileVault, findFileVault, openFileVault, VaultExists } from './file.js'
export {
  type FileVault,
  NoEntry,
  VaultFull,
  type VaultWarning,
} from './folder-vault.js'
export { WrongPassphrase } from './header.js'
export { type KdfParameters, PassphraseLength } from './kdf.js'
export { MalformedVault, VersionUnsupported } from './secret-file.js'
export { isLabel, LabelInvalid } from './secret-name.js'
export {
  type BoundSecret,
  type BoundSecrets,
  type FinaliseOutcome,
  type SecretEntry,
  type SecretRef,
  type Vault,
  VaultLocked,
} from './vault.js'
export { VaultIoFailed, VaultMissing } from './vault-folder.js'
