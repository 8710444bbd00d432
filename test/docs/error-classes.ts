// The error classes of the sources, read as syntax: nothing of them is imported or constructed.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** A class that extends `HoldfastError`, directly or not, and gives itself a code. */
export type ErrorClass = {
  readonly file: string
  readonly name: string
  readonly code: string
  /** Every `retry` value that stands in the class or in a class it extends; empty where it is computed elsewhere. */
  readonly retries: readonly string[]
  /** Why no remedy could be found, if none could. */
  readonly remedyProblem: string | undefined
}

/** Every error class with a code below `src/`. */
export function errorClasses(): readonly ErrorClass[] {
  const declared = new Map<string, Declared>()
  for (const file of sources()) {
    const text = readFileSync(file, 'utf8')
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    for (const node of nodesIn(source, ts.isClassDeclaration)) {
      const name = node.name?.text
      if (name !== undefined) declared.set(name, { file: relative(root, file), node })
    }
  }
  return [...declared].flatMap(([name, { file, node }]) => {
    const code = codeOf(node)
    const chain = chainOf(name, declared)
    if (code === undefined || chain === undefined) return []
    const retries = [...new Set(chain.flatMap(retriesIn))].sort()
    return [{ file, name, code, retries, remedyProblem: remedyProblem(chain) }]
  })
}

type Declared = { readonly file: string; readonly node: ts.ClassDeclaration }

function sources(): readonly string[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

function nodesIn<T extends ts.Node>(top: ts.Node, is: (node: ts.Node) => node is T): readonly T[] {
  const found: T[] = []
  const visit = (node: ts.Node): void => {
    if (is(node)) found.push(node)
    ts.forEachChild(node, visit)
  }
  visit(top)
  return found
}

const parentOf = (node: ts.ClassDeclaration): string | undefined =>
  node.heritageClauses
    ?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)
    ?.types[0]?.expression.getText()

/** The class and what it extends up to `HoldfastError`; `undefined` when it does not get there. */
function chainOf(
  name: string,
  declared: ReadonlyMap<string, Declared>,
): readonly ts.ClassDeclaration[] | undefined {
  const chain: ts.ClassDeclaration[] = []
  for (let at: string | undefined = name; at !== 'HoldfastError'; ) {
    const node = at === undefined ? undefined : declared.get(at)?.node
    if (node === undefined || chain.includes(node)) return undefined
    chain.push(node)
    at = parentOf(node)
  }
  return chain
}

function codeOf(node: ts.ClassDeclaration): string | undefined {
  for (const member of node.members) {
    if (!ts.isPropertyDeclaration(member) || member.name.getText() !== 'code') continue
    const [literal] = nodesIn(member, ts.isStringLiteral)
    if (member.initializer !== undefined && literal !== undefined) return literal.text
  }
  return undefined
}

function retriesIn(node: ts.ClassDeclaration): readonly string[] {
  return assignmentsOf('retry', node).flatMap(({ initializer }) =>
    nodesIn(initializer, ts.isStringLiteral)
      .map(({ text }) => text)
      .filter((text) => ['safe', 'after-fix', 'never'].includes(text)),
  )
}

function assignmentsOf(name: string, node: ts.ClassDeclaration): readonly ts.PropertyAssignment[] {
  return nodesIn(node, ts.isPropertyAssignment).filter((one) => one.name.getText() === name)
}

/** A remedy is a `remedy:` that is not empty, or a text handed to a constructor that takes a `remedy`. */
function remedyProblem(chain: readonly ts.ClassDeclaration[]): string | undefined {
  const assigned = chain.flatMap((node) => assignmentsOf('remedy', node))
  if (assigned.length > 0) {
    const empty = assigned.some(({ initializer }) => isEmptyText(initializer))
    return empty ? 'its remedy is empty' : undefined
  }
  const [own] = chain
  const takesIt = chain.find((node) =>
    nodesIn(node, ts.isShorthandPropertyAssignment).some(({ name }) => name.text === 'remedy'),
  )
  if (own === undefined || takesIt === undefined) return 'it names no remedy'
  if (takesIt === own) return undefined
  const texts = nodesIn(own, ts.isCallExpression)
    .filter(({ expression }) => expression.kind === ts.SyntaxKind.SuperKeyword)
    .flatMap((call) => [...call.arguments])
    .filter((argument) => ts.isStringLiteral(argument) && / .*\.$/.test(argument.text))
  return texts.length > 0 ? undefined : 'it hands no remedy, a sentence with a full stop, to super'
}

const isEmptyText = (node: ts.Expression): boolean =>
  ts.isStringLiteralLike(node) && node.text.trim() === ''
