import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../base/log.js'
import { isLoopback } from '../base/loopback.js'
import { type AdminBody, adminBodyBytesMax, parseAdminBody } from './admin-input.js'
import { type OpenDeps, openRoutes } from './admin-open-routes.js'
import { type AdminOperations, createAdminOperations } from './admin-operations.js'
import {
  AdminInputInvalid,
  AdminRouteUnknown,
  AdminTokenWanted,
  DaemonNotReady,
  problemOf,
  problemType,
  translated,
} from './admin-problem.js'
import { adminPrefix, adminRoutes } from './admin-routes.js'
import type { BearerCheck } from './bearer.js'
import type { DaemonStatus } from './daemon-status.js'
import { describeCauses } from './log-fields.js'
import { describeApi } from './openapi.js'

export type AdminSettings = {
  /** 0 lets the system choose one; that 0 switches the listener off is the configuration's business. */
  readonly port: number
  readonly listenAddress: string
}

export type AdminDeps = OpenDeps & {
  readonly settings: AdminSettings
  readonly log: Logger
}

/** Milliseconds. */
const times = {
  headers: 5000,
  request: 30_000,
  idle: 60_000,
  /** Between two looks at which connections have used up their time. */
  look: 1000,
} as const
const connectionsMax = 256
const headerBytesMax = 16 * 1024

const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

/** Who may pass to what is behind the token, and the calls that passed. */
export type Gate = { check: BearerCheck | undefined; readonly running: Set<Promise<unknown>> }

/**
 * Makes the server of the admin listener with all its routes; it listens to nobody yet.
 *
 * @param stop ends long calls
 * @param gate who may pass to what is behind the token; without a check nobody may
 */
export async function createAdminServer(
  deps: AdminDeps,
  stop: AbortSignal,
  gate: Gate,
): Promise<FastifyInstance> {
  const { settings, status, log, version } = deps
  // Loaded here, so that other commands need not wait for it.
  const { fastify } = await import('fastify')
  const server = fastify({
    logger: false,
    bodyLimit: adminBodyBytesMax,
    requestTimeout: times.request,
    keepAliveTimeout: times.idle,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 256 },
    // Bodies and queries are taken as they are, or not at all.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    http: {
      maxHeaderSize: headerBytesMax,
      headersTimeout: times.headers,
      connectionsCheckingInterval: times.look,
    },
    clientErrorHandler: (_, socket) => void socket.destroy(),
    frameworkErrors: (error, _, reply) => void sendProblem(reply, error, log),
  })
  server.server.maxConnections = connectionsMax
  server.removeAllContentTypeParsers()
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_: FastifyRequest, bytes: Buffer) => parseAdminBody(bytes),
  )
  // Schemas of answers describe them; they do not cut them.
  server.setSerializerCompiler(() => (value) => JSON.stringify(value))
  const isLocal = isLoopback(settings.listenAddress)
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    if (status.phase().phase === 'draining') reply.header('connection', 'close')
    if (isLocal && !isLocalHost(request.headers.host)) {
      throw new AdminInputInvalid('the Host header names another machine, want a loopback name')
    }
  })
  server.setErrorHandler((error, _, reply) => sendProblem(reply, error, log))
  server.setNotFoundHandler((_, reply) => sendProblem(reply, new AdminRouteUnknown(), log))

  const open = openRoutes(deps, () => describeApi([...open, ...adminRoutes], version))
  for (const { method, path, query, run } of open) {
    server.route({
      method,
      url: path,
      ...(query === undefined ? {} : { schema: { querystring: query } }),
      handler: async (request, reply) => {
        const { status: code, type, body } = await run(recordOf(request.query))
        return reply
          .code(code)
          .type(type)
          .send(typeof body === 'string' ? body : { ...body })
      },
    })
  }
  const operations = createAdminOperations(status, log, stop)
  await server.register((behind) => addRoutes(behind, { status, operations, gate, log }), {
    prefix: adminPrefix,
  })
  return server
}

/** Adds what is behind the token. */
async function addRoutes(
  behind: FastifyInstance,
  deps: {
    readonly status: DaemonStatus
    readonly operations: AdminOperations
    readonly gate: Gate
    readonly log: Logger
  },
): Promise<void> {
  const { status, operations, gate, log } = deps
  behind.addHook('onRequest', async ({ headers }) => {
    const { check } = gate
    if (check === undefined) throw new DaemonNotReady(status.phase().phase)
    const credential = check(headers.authorization)
    if (credential !== 'good') throw new AdminTokenWanted(credential)
  })
  behind.addHook('preValidation', async (request) => {
    // A call without a body is one with nothing in it.
    request.body ??= {}
  })
  behind.setNotFoundHandler((_, reply) => sendProblem(reply, new AdminRouteUnknown(), log))
  for (const { method, path, query, body, run } of adminRoutes) {
    behind.route({
      method,
      url: path.slice(adminPrefix.length),
      schema: {
        ...(query === undefined ? {} : { querystring: query }),
        ...(body === undefined ? {} : { body }),
      },
      handler: async ({ params, query: asked, body: given }) => {
        const call = { params: recordOf(params), query: recordOf(asked), body: recordOf(given) }
        const running = run(operations, call)
        gate.running.add(running)
        try {
          return await running
        } finally {
          gate.running.delete(running)
        }
      },
    })
  }
}

function sendProblem(reply: FastifyReply, error: unknown, log: Logger): FastifyReply {
  const { problem, log: isUnknown } = problemOf(translated(error))
  if (isUnknown) log.warn({ cause: describeCauses(error) }, 'admin request failed')
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="holdfast admin"')
  if (problem.status === 503) reply.header('retry-after', '1')
  return reply.headers(securityHeaders).code(problem.status).type(problemType).send(problem)
}

const recordOf = (given: unknown): AdminBody =>
  typeof given === 'object' && given !== null ? { ...given } : {}

/** A name that resolves to this machine without asking anybody, so that no web page can choose it. */
function isLocalHost(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d{1,5}$/, '')
  return name !== '' && isLoopback(name)
}
