-- Accepted jobs, what was recorded before it was signed, and how they ended.
-- seq: sequence of the ledger line that says the same; every row that a line speaks of carries it.
-- digest: SHA-256 over the table's name and all other columns of the row; null means damaged. Digests are
-- text, 64 hex digits, since every one of them is read at an opening and text is read twice as fast as blobs.

-- Holds a row only while a commit with an unclear outcome is being settled.
create table settle_marker (
  one integer primary key check (one = 1),
  token blob not null check (length(token) = 16)
) strict;

-- storeId (of the ledger), openings, syncedSeq (last line of the ledger that is known to be synced), hostHeight.
create table meta (
  name text not null primary key,
  value text not null,
  digest text
) strict, without rowid;

-- fixed_digest: over seq to created_at, which never change; the accept line has it too.
-- settle_seq: sequence of the line that ended the job, and key of its result.
create table job (
  seq integer primary key check (seq > 0),
  request_id text not null unique,
  route text not null check (route in ('qc_v1', 'self_v1')),
  route_request_id text not null,
  request_digest text not null,
  depositor_eth_address text not null,
  outpoint text not null,
  wallet_key text not null,
  end_block text,
  created_at text not null,
  fixed_digest text not null,
  state text not null check (state in ('SUBMITTED', 'VALIDATING', 'SIGNING', 'PENDING', 'ARTIFACT_READY',
    'HANDOFF_READY', 'FAILED')),
  detail text not null,
  updated_at text not null,
  attempts integer not null check (attempts >= 0),
  next_at_ms integer not null check (next_at_ms >= 0),
  held integer not null check (held in (0, 1)),
  settle_seq integer check (settle_seq > seq),
  digest text,
  unique (route, route_request_id)
) strict;

-- body: canonical JSON of the normalised request, seq that of its job.
create table request (
  seq integer primary key,
  body text not null,
  digest text
) strict;

-- released_seq: sequence of the line that freed the outpoint again. digest leaves it out; released_digest has it.
create table intent (
  seq integer primary key check (seq > 0),
  job_seq integer not null check (job_seq < seq),
  outpoint text not null,
  sighash text not null,
  unsigned_tx text not null,
  digest text,
  released_seq integer check (released_seq > seq),
  released_digest text
) strict;

create unique index intent_one_unreleased on intent (outpoint) where released_seq is null;
create index intent_of_job on intent (job_seq);

-- body: JSON of the transition.
create table result (
  seq integer primary key check (seq > 0),
  job_seq integer not null check (job_seq < seq),
  body text not null,
  updated_at text not null,
  released_intent integer not null check (released_intent in (0, 1)),
  digest text
) strict;

-- What people did by hand; the ledger has a line of each.
create table operate (
  seq integer primary key check (seq > 0),
  at text not null,
  who text not null,
  what text not null,
  why text not null,
  subject text not null,
  digest text
) strict;

-- Records that were set aside, as they were found; the damaged rows themselves stay where they are.
create table quarantine (
  id text not null primary key,
  kind text not null,
  reason text not null,
  raw blob not null,
  found_at_ms integer not null check (found_at_ms >= 0),
  digest text
) strict, without rowid;
