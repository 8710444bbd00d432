import {
  type AdminBody,
  heightOf,
  jobQueryOf,
  limitOf,
  operatorOf,
  outpointOfBody,
  requestIdOfPath,
  resolutionOf,
} from './admin-input.js'
import type { AdminOperations, Json } from './admin-operations.js'
import { inputs } from './admin-schemas.js'
import type { RouteTold } from './openapi.js'

/** What a route is called with; body and query have passed their schemas. */
export type AdminCall = {
  readonly params: AdminBody
  readonly query: AdminBody
  readonly body: AdminBody
}

/** A route behind the token: what the description tells, and what it does. */
export type AdminRoute = RouteTold & {
  readonly run: (operations: AdminOperations, call: AdminCall) => Promise<Json>
}

type Given = Omit<AdminRoute, 'needsToken' | 'problems' | 'path'> & {
  readonly path: string
  readonly problems?: readonly number[]
}

/** What stands behind the token. */
export const adminPrefix = '/admin/v1'

function route(given: Given): AdminRoute {
  const { problems = [], path } = given
  const extra = given.body === undefined ? [] : [413]
  const all = [...new Set([400, ...problems, ...extra])].sort((a, b) => a - b)
  return { ...given, path: `${adminPrefix}${path}`, needsToken: true, problems: all }
}

/** Every route behind the token. */
export const adminRoutes: readonly AdminRoute[] = [
  route({
    method: 'GET',
    path: '/jobs',
    summary: 'Jobs in the order they were accepted',
    answer: 'JobList',
    query: inputs.jobs,
    run: (operations, { query }) => operations.listJobs(jobQueryOf(query)),
  }),
  route({
    method: 'GET',
    path: '/jobs/:requestId',
    summary: 'One job with its timeline, its intent and its result',
    answer: 'JobDetail',
    problems: [404],
    run: (operations, { params }) => operations.showJob(requestIdOfPath(params.requestId)),
  }),
  route({
    method: 'POST',
    path: '/jobs/:requestId/resume',
    summary: 'Lets a held job run',
    answer: 'Resumed',
    body: inputs.operate,
    problems: [404],
    run: (operations, { params, body }) =>
      operations.resume(requestIdOfPath(params.requestId), operatorOf(body), body.dryRun === true),
  }),
  route({
    method: 'POST',
    path: '/intents/release',
    summary: 'Frees the outpoint of an ended job',
    answer: 'Released',
    body: inputs.release,
    problems: [404, 409],
    run: (operations, { body }) =>
      operations.releaseIntent(outpointOfBody(body), operatorOf(body), body.dryRun === true),
  }),
  route({
    method: 'GET',
    path: '/quarantine',
    summary: 'Records that were set aside, open ones first',
    answer: 'RecordList',
    query: inputs.quarantine,
    run: (operations, { query }) => operations.listRecords(limitOf(query, 1000)),
  }),
  route({
    method: 'GET',
    path: '/quarantine/:id',
    summary: 'One record with its bytes, what each witness says, and the ways to resolve it',
    answer: 'RecordDetail',
    problems: [404],
    run: (operations, { params }) => operations.showRecord(String(params.id)),
  }),
  route({
    method: 'POST',
    path: '/quarantine/:id/resolve',
    summary: 'Ends the quarantine of a record, or says what that would change',
    answer: 'Resolved',
    body: inputs.resolve,
    problems: [404, 409],
    run: (operations, { params, body }) =>
      operations.resolve(String(params.id), resolutionOf(body), operatorOf(body), {
        dryRun: body.dryRun === true,
      }),
  }),
  route({
    method: 'GET',
    path: '/ledger/head',
    summary: 'The last line of the ledger',
    answer: 'LedgerHead',
    run: (operations) => operations.ledgerHead(),
  }),
  route({
    method: 'POST',
    path: '/ledger/verify',
    summary: 'Checks every line of the ledger, and changes nothing',
    answer: 'Checks',
    body: inputs.none,
    run: (operations) => operations.verifyLedger(),
  }),
  route({
    method: 'POST',
    path: '/store/verify',
    summary: 'Compares both witnesses of the job store, and heals what either can vouch for',
    answer: 'StoreVerification',
    body: inputs.none,
    run: (operations) => operations.verifyStore(),
  }),
  route({
    method: 'POST',
    path: '/host-height/reset',
    summary: 'Puts the highest host-chain height to a value, also a lower one',
    answer: 'HeightReset',
    body: inputs.height,
    run: (operations, { body }) => operations.resetHeight(heightOf(body), operatorOf(body)),
  }),
  route({
    method: 'GET',
    path: '/wallets',
    summary: 'Wallets with their state, and damaged ones with the reason',
    answer: 'Wallets',
    run: (operations) => operations.listWallets(),
  }),
]
