// Writes one file with writeNew or replaceFile and prints the errno name of what went wrong.
import { errnoOf, replaceFile, writeNew } from '../../src/base/durable-file.js'

const [how, path, size] = process.argv.slice(2)
// Without a handler the signal of the file size limit would end the process.
process.on('SIGXFSZ', () => undefined)
try {
  const write = how === 'replaceFile' ? replaceFile : writeNew
  write(String(path), new Uint8Array(Number(size)).fill(0x61))
  process.stdout.write('written')
} catch (error) {
  process.stdout.write(errnoOf(error) ?? String(error))
}
