/** Storage labels of the account types, in the order of the specification's table. */
export const accountTypes = [
  'standard_bip44',
  'standard_bip32',
  'coinjoin',
  'identity_registration',
  'identity_topup',
  'identity_topup_unbound',
  'identity_invitation',
  'provider_voting',
  'provider_owner',
  'provider_platform',
  'dashpay_receiving',
  'dashpay_external',
  'platform_payment',
] as const
export type AccountType = (typeof accountTypes)[number]

/** What tells one account of a wallet from another; unused parts are 0 or 32 zero bytes. */
export type AccountKey = {
  readonly type: AccountType
  /** Account index, or the registration index of a bound top-up account. */
  readonly index: number
  /** Key class of a Platform payment account. */
  readonly keyClass: number
  /** 32-byte identity id of a DashPay account's owner; zeros elsewhere. */
  readonly ownIdentity: Uint8Array
  /** 32-byte identity id of a DashPay account's contact; zeros elsewhere. */
  readonly contactIdentity: Uint8Array
}

/** The key of an account that is no DashPay account. */
export function accountKey(type: AccountType, index = 0, keyClass = 0): AccountKey {
  return {
    type,
    index,
    keyClass,
    ownIdentity: new Uint8Array(32),
    contactIdentity: new Uint8Array(32),
  }
}

/** One account as it is kept: public only. */
export type Account = AccountKey & {
  /** Derivation path, hardened levels marked with an apostrophe. */
  readonly path: string
  /** Extended public key, base58check text (BIP-32, or DIP-14 when the last level has 256 bits). */
  readonly xpub: string
}

/** A text that names one account within its wallet, for maps and messages. */
export function accountName(key: AccountKey): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const contact = key.contactIdentity.some((byte) => byte !== 0)
    ? `/${hex(key.ownIdentity)}/${hex(key.contactIdentity)}`
    : ''
  return `${key.type}/${key.index}/${key.keyClass}${contact}`
}
