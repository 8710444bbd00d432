import { jobStates } from '../covenant/job.js'

/** A JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>

const text: Schema = { type: 'string' }
const flag: Schema = { type: 'boolean' }
const count: Schema = { type: 'integer', minimum: 0 }
const instant: Schema = { type: 'string', description: 'RFC 3339, UTC.' }
const refTo = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const listOf = (items: Schema): Schema => ({ type: 'array', items })

/** An object with all of these members, and maybe some of the others. */
function record(members: Readonly<Record<string, Schema>>, maybeOthers: Schema = {}): Schema {
  const properties = { ...members, ...maybeOthers }
  return { type: 'object', required: Object.keys(members), properties }
}

const route: Schema = { type: 'string', enum: ['qc_v1', 'self_v1'] }
const who: Schema = { type: 'string', maxLength: 200, description: 'Default: admin.' }
const reason: Schema = { type: 'string', minLength: 1, maxLength: 2000 }
const outpoint: Schema = {
  type: 'string',
  pattern: '^[0-9a-fA-F]{64}:[0-9]{1,10}$',
  description: 'txid:vout, the txid in display order.',
}
const dryRun: Schema = { type: 'boolean', description: 'Only say what would be done.' }

/** A body of a route; nothing else may stand in it. */
function body(members: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', additionalProperties: false, required, properties: members }
}

type InputName =
  | 'none'
  | 'verbose'
  | 'jobs'
  | 'quarantine'
  | 'operate'
  | 'release'
  | 'resolve'
  | 'height'

/** What bodies and queries may hold; the routes judge requests by them. */
export const inputs: { readonly [Name in InputName]: Schema } = {
  none: body({}, []),
  verbose: { type: 'object', properties: { verbose: text } },
  jobs: {
    type: 'object',
    additionalProperties: false,
    properties: {
      state: { type: 'string', enum: [...jobStates] },
      route,
      routeRequestId: { type: 'string', description: 'One key; only together with route.' },
      after: { type: 'string', pattern: '^[0-9]{1,12}$', description: 'The seq of a job.' },
      limit: { type: 'string', pattern: '^[0-9]{1,6}$', description: '1 to 10000; default 100.' },
    },
  },
  quarantine: {
    type: 'object',
    additionalProperties: false,
    properties: {
      limit: { type: 'string', pattern: '^[0-9]{1,6}$', description: '1 to 10000; default 1000.' },
    },
  },
  operate: body({ reason, who, dryRun }, ['reason']),
  release: body({ outpoint, reason, who, dryRun }, ['outpoint', 'reason']),
  resolve: body(
    {
      how: { type: 'string', enum: ['restore', 'adopt', 'retire', 'release'] },
      from: { type: 'string', enum: ['ledger', 'backup'], description: 'Default: ledger.' },
      request: {
        anyOf: [{ type: 'object' }, { type: 'string' }],
        description: 'What is adopted: the request as it was accepted, or its text.',
      },
      typedKey: { type: 'string', description: 'What is released, typed out.' },
      ...{ reason, who, dryRun },
    },
    ['how', 'reason', 'dryRun'],
  ),
  height: body(
    {
      height: {
        anyOf: [
          { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
          { type: 'string', pattern: '^[0-9]{1,18}$' },
        ],
      },
      ...{ reason, who },
    },
    ['height', 'reason'],
  ),
} as const satisfies Readonly<Record<string, Schema>>

const check = record({ name: text, ok: flag, detail: text })
const finding = record({ name: text, ok: flag, detail: text, remedy: text }, { severity: text })
const listener: Schema = {
  anyOf: [record({ host: text, port: count }), { type: 'null' }],
}
const jobMembers = {
  requestId: text,
  route,
  routeRequestId: text,
  state: { type: 'string', enum: [...jobStates] },
  detail: text,
  outpoint: text,
  walletKey: text,
  createdAt: instant,
  updatedAt: instant,
  attempts: count,
  held: flag,
  seq: count,
} as const
const jobOthers = {
  reason: text,
  completedAt: instant,
  failedAt: instant,
  nextAt: instant,
} as const
const recordMembers = {
  id: text,
  kind: { type: 'string', enum: ['job', 'intent', 'ledger', 'file'] },
  blocks: record({
    keys: listOf(record({ route, routeRequestId: text })),
    outpoints: listOf(text),
    everyNewKey: flag,
  }),
  reason: text,
  sha256: text,
  size: count,
  foundAt: instant,
  state: { type: 'string', enum: ['open', 'retired'] },
} as const

export type AnswerName =
  | 'Problem'
  | 'Live'
  | 'Ready'
  | 'State'
  | 'Job'
  | 'JobList'
  | 'JobDetail'
  | 'Resumed'
  | 'Released'
  | 'Record'
  | 'RecordList'
  | 'RecordDetail'
  | 'Resolved'
  | 'LedgerHead'
  | 'Checks'
  | 'StoreVerification'
  | 'HeightReset'
  | 'Wallets'
  | 'OpenApi'

/** What answers hold, by name. */
export const answers: { readonly [Name in AnswerName]: Schema } = {
  Problem: record({
    type: text,
    title: text,
    status: { type: 'integer' },
    detail: text,
    code: { type: 'string', description: 'Title of a section of docs/ERRORS.md.' },
    retryable: flag,
    retry: { type: 'string', enum: ['safe', 'after-fix', 'never'] },
    remedy: text,
  }),
  Live: record({ status: { const: 'ok' } }),
  Ready: record(
    { status: { type: 'string', enum: ['ready', 'degraded', 'notReady'] } },
    { checks: listOf(finding), checkedAt: instant },
  ),
  State: record(
    {
      state: {
        type: 'string',
        enum: ['starting', 'loading', 'ready', 'degraded', 'notReady', 'failed', 'draining'],
      },
      since: instant,
      detail: text,
      version: text,
      startedAt: instant,
      engine: {
        anyOf: [record({ name: text, signs: flag }, { wallets: count }), { type: 'null' }],
      },
      gate: record({
        bridgeCovenantFraudDefenseConfirmed: flag,
        bridgeAddress: { type: ['string', 'null'] },
      }),
      listeners: record({ compatible: listener, admin: listener }),
      jobs: {
        anyOf: [record({ loaded: count, unfinished: count, finished: count }), { type: 'null' }],
      },
      newKeys: { type: ['boolean', 'null'] },
      hostHeight: { type: ['integer', 'null'] },
    },
    { checks: listOf(finding) },
  ),
  Job: record(jobMembers, jobOthers),
  JobList: record({
    jobs: listOf(refTo('Job')),
    next: { type: ['integer', 'null'], description: 'The after of the next page.' },
    quarantined: count,
  }),
  JobDetail: record(
    {
      ...jobMembers,
      requestDigest: text,
      depositorEthAddress: text,
      timeline: listOf(record({ at: instant, what: text, detail: text }, { seq: count })),
      intent: {
        anyOf: [
          record({ outpoint: text, sighash: text, unsignedTransaction: text }),
          { type: 'null' },
        ],
      },
      result: { type: ['object', 'null'] },
      canonicalRequest: text,
    },
    { ...jobOthers, endBlock: text },
  ),
  Resumed: record({ requestId: text, outcome: { enum: ['resumed', 'notHeld'] } }, { dryRun: flag }),
  Released: record({ outpoint: text, outcome: { const: 'released' } }, { dryRun: flag }),
  Record: record(recordMembers, { requestId: text }),
  RecordList: record({ records: listOf(refTo('Record')) }),
  RecordDetail: record(
    {
      ...recordMembers,
      raw: record({ hex: text, text }),
      readable: { type: 'object', additionalProperties: text },
      witnesses: listOf(record({ name: text, says: text })),
      ways: listOf(record({ how: text, effect: text })),
    },
    { requestId: text },
  ),
  Resolved: record({ record: refTo('Record'), changes: listOf(text), dryRun: flag }),
  LedgerHead: record({ seq: count, hash: text }, { at: instant }),
  Checks: record({ ok: flag, checks: listOf(check) }),
  StoreVerification: record({
    ok: flag,
    checks: listOf(finding),
    newKeys: { type: ['boolean', 'null'] },
    report: { type: ['object', 'null'] },
    fenced: listOf(refTo('Record')),
  }),
  HeightReset: record({ height: text, before: { type: ['string', 'null'] }, changed: flag }),
  Wallets: record({
    wallets: listOf(record({ walletId: text, network: text, state: text })),
    quarantined: listOf(record({ walletId: text, reason: text, detail: text })),
  }),
  OpenApi: { type: 'object' },
} as const satisfies Readonly<Record<string, Schema>>
