import { FST_ERR_BGT_MISSING_PEER } from '../../errors.ts'

/**
 * Imports a package that only an adapter's users have.
 *
 * @throws FST_ERR_BGT_MISSING_PEER with the command that installs it.
 */
export async function importPeer<T> (adapter: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const { message } = cause as Error
    // Not by its code, which gets lost where a loader such as that of tap has its own thread. Another
    // package that the engine itself misses is not ours to explain.
    const isMissing = message.startsWith('Cannot find') && message.includes(`'${name}'`)
    throw isMissing ? new FST_ERR_BGT_MISSING_PEER(adapter, name, name, { cause }) : cause
  }
}
