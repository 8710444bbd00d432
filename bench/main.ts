// Figures as ratios to a limit or a peer in the same run: npm run bench -- wallet
import { parseArgs } from 'node:util'
import { benchCovenant } from './covenant.js'
import { benchDevnet } from './devnet.js'
import { benchHttp } from './http.js'
import type { Figure, Suite } from './measure.js'
import { benchWallet } from './wallet.js'

const suites: Readonly<Record<string, Suite>> = {
  wallet: benchWallet,
  covenant: benchCovenant,
  http: benchHttp,
  devnet: benchDevnet,
}

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  // Fewer jobs than the issues ask for make a quick run, whose figures prove nothing.
  options: { 'jobs-max': { type: 'string', default: '1000000' } },
})
const jobsMax = Number(flags['jobs-max'])
const unknown = names.filter((name) => suites[name] === undefined)
if (names.length === 0 || unknown.length > 0 || !(jobsMax >= 2000)) {
  const usage = `npm run bench -- ${Object.keys(suites).join('|')} [--jobs-max N, at least 2000]`
  process.stderr.write(`usage: ${usage}\n`)
  process.exit(2)
}
let missed = 0
for (const name of names) {
  for await (const figure of suites[name]?.({ jobsMax }) ?? []) {
    if (!holds(figure)) missed++
    process.stdout.write(lineOf(figure))
  }
}
process.exitCode = missed === 0 ? 0 : 1

function holds({ value, bound }: Figure): boolean {
  return bound.kind === 'at most' ? value <= bound.value : value >= bound.value
}

function lineOf(figure: Figure): string {
  const { what, value, unit, bound, detail } = figure
  const shown = `${value.toFixed(2)} ${unit}`.padEnd(12)
  const verdict = holds(figure) ? 'ok    ' : 'MISSED'
  return `${verdict} ${what.padEnd(58)} ${shown} ${bound.kind} ${bound.value}   ${detail}\n`
}
