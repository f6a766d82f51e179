/** As a path or a column of type uuid has to be before it is asked for. */
export function isUuid (id: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(id)
}
