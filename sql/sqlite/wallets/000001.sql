-- Public wallet data only. One row per pool; every wallet row counts the rows it owns.
-- digest: SHA-256 over the table's name and all other columns of the row; null means damaged.

create table store_generation (
  one integer primary key check (one = 1),
  token blob not null check (length(token) = 16)
) strict;

insert into store_generation values (1, randomblob(16));

-- Holds a row only while a commit with an unclear outcome is being settled.
create table settle_marker (
  one integer primary key check (one = 1),
  token blob not null check (length(token) = 16)
) strict;

create table wallets (
  wallet_id blob not null primary key check (length(wallet_id) = 32),
  network text not null check (network in ('mainnet', 'testnet', 'devnet', 'regtest')),
  group_id blob not null check (length(group_id) = 32),
  generation blob not null check (length(generation) = 16),
  birth_height integer not null check (birth_height >= 0),
  created_at_ms integer not null check (created_at_ms >= 0),
  account_count integer not null check (account_count >= 1),
  pool_count integer not null check (pool_count >= 0),
  platform_address_count integer not null check (platform_address_count >= 0),
  digest blob
) strict, without rowid;

-- The damaged rows themselves stay byte for byte as they were found.
create table quarantined_wallets (
  wallet_id blob not null primary key check (length(wallet_id) = 32),
  reason text not null check (reason in ('missingManifest', 'malformedXpub', 'snapshotIdentityMismatch',
    'decodeError', 'manifestIntegrityMismatch', 'platformStateMismatch', 'lost')),
  detail text not null,
  found_at_ms integer not null check (found_at_ms >= 0),
  export_file text not null,
  digest blob
) strict, without rowid;

create table pending_registrations (
  attempt_id blob not null primary key check (length(attempt_id) = 16),
  wallet_id blob not null check (length(wallet_id) = 32),
  secret_label text check (length(secret_label) between 1 and 40),
  opening_id blob not null check (length(opening_id) = 16),
  store_generation blob not null check (length(store_generation) = 16),
  phase text not null check (phase in ('reserved', 'discarding')),
  created_at_ms integer not null check (created_at_ms >= 0)
) strict, without rowid;

create unique index pending_one_reserved on pending_registrations (wallet_id) where phase = 'reserved';

create table account_registrations (
  wallet_id blob not null references wallets on delete cascade,
  account_type text not null check (account_type in ('standard_bip44', 'standard_bip32', 'coinjoin',
    'identity_registration', 'identity_topup', 'identity_topup_unbound', 'identity_invitation',
    'provider_voting', 'provider_owner', 'provider_platform', 'dashpay_receiving', 'dashpay_external',
    'platform_payment')),
  account_index integer not null check (account_index >= 0),
  key_class integer not null check (key_class >= 0),
  own_identity blob not null check (length(own_identity) = 32),
  contact_identity blob not null check (length(contact_identity) = 32),
  path text not null check (path <> ''),
  xpub text not null check (xpub <> ''),
  digest blob,
  primary key (wallet_id, account_type, account_index, key_class, own_identity, contact_identity)
) strict, without rowid;

-- entries: 58 bytes each, state(1) | reservedAtS(4, BE) | hash160(20) | publicKey(33), in the order of their index.
create table address_pools (
  wallet_id blob not null references wallets on delete cascade,
  account_type text not null check (account_type in ('standard_bip44', 'standard_bip32', 'coinjoin',
    'identity_registration', 'identity_topup', 'identity_topup_unbound', 'identity_invitation',
    'provider_voting', 'provider_owner', 'provider_platform', 'dashpay_receiving', 'dashpay_external',
    'platform_payment')),
  account_index integer not null check (account_index >= 0),
  key_class integer not null check (key_class >= 0),
  own_identity blob not null check (length(own_identity) = 32),
  contact_identity blob not null check (length(contact_identity) = 32),
  chain text not null check (chain in ('external', 'internal', 'single', 'single_hardened')),
  gap integer not null check (gap >= 0),
  highest_used integer check (highest_used >= 0),
  entries blob not null check (length(entries) % 58 = 0),
  digest blob,
  primary key (wallet_id, account_type, account_index, key_class, own_identity, contact_identity, chain)
) strict;

create table platform_addresses (
  wallet_id blob not null references wallets on delete cascade,
  hash160 blob not null check (length(hash160) = 20),
  account_index integer not null check (account_index >= 0),
  key_class integer not null check (key_class >= 0),
  address_index integer not null check (address_index >= 0),
  balance_credits integer not null check (balance_credits >= 0),
  nonce integer not null check (nonce >= 0),
  as_of_height integer not null check (as_of_height >= 0),
  digest blob,
  primary key (wallet_id, hash160)
) strict, without rowid;

create table platform_address_sync (
  wallet_id blob not null primary key references wallets on delete cascade,
  sync_height integer not null check (sync_height >= 0),
  sync_timestamp_s integer not null check (sync_timestamp_s >= 0),
  last_known_recent_block integer not null check (last_known_recent_block >= 0),
  digest blob
) strict, without rowid;
