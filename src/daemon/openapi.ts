import { type AnswerName, answers, type Schema } from './admin-schemas.js'

/** What the description tells of one route. */
export type RouteTold = {
  readonly method: 'GET' | 'POST'
  /** As the router has it: `/admin/v1/jobs/:requestId`. */
  readonly path: string
  readonly summary: string
  /** Name of the answer's schema; undefined for text. */
  readonly answer: AnswerName | undefined
  /** Further statuses than 200 that have the same answer. */
  readonly alsoStatus?: readonly number[]
  readonly query?: Schema
  readonly body?: Schema
  /** Statuses of problems; every route behind the token has 401, 503 and 500 besides. */
  readonly problems: readonly number[]
  readonly needsToken: boolean
}

/** Describes routes as an OpenAPI 3.1 document. */
export function describeApi(routes: readonly RouteTold[], version: string): Schema {
  const paths: Record<string, Record<string, Schema>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    const operations = paths[path] ?? {}
    operations[route.method.toLowerCase()] = operationOf(route)
    paths[path] = operations
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast admin API',
      version,
      description: 'For operators. Errors are RFC 9457 problems; docs/ERRORS.md tells each code.',
    },
    paths,
    components: {
      schemas: answers,
      securitySchemes: { adminToken: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function operationOf(route: RouteTold): Schema {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)]
  const problems = route.needsToken ? [401, ...route.problems, 500, 503] : route.problems
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: route.body } } } }),
    responses: Object.fromEntries([
      ...[200, ...(route.alsoStatus ?? [])].map((status) => [status, answerOf(route)] as const),
      ...problems.map((status) => [status, problem] as const),
    ]),
    security: route.needsToken ? [{ adminToken: [] }] : [],
  }
}

function answerOf({ answer, summary }: RouteTold): Schema {
  const content =
    answer === undefined
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: { $ref: `#/components/schemas/${answer}` } } }
  return { description: summary, content }
}

const problem: Schema = {
  description: 'A problem',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

function pathParameters(path: string): readonly Schema[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }))
}

function queryParameters(query: Schema | undefined): readonly Schema[] {
  const members = query?.properties
  if (typeof members !== 'object' || members === null) return []
  return Object.entries(members).map(([name, schema]) => ({ name, in: 'query', schema }))
}

function operationId({ method, path }: RouteTold): string {
  const words = path
    .replace('/admin/v1', '')
    .split(/\W+/)
    .filter((word) => word !== '')
  const named = words.map((word) => word[0]?.toUpperCase() + word.slice(1))
  return `${method.toLowerCase()}${named.join('')}`
}
