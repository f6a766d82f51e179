export function quantile (values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]
  return below + (sorted[Math.ceil(at)] - below) * (at % 1)
}

export const median = values => quantile(values, 0.5)

/** The median, and the range that the middle half spans. */
export function spread (values) {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) }
}

/** Of the ratios to another candidate in the same round. */
export function ratios (times, base) {
  return spread(times.map((time, round) => time / base[round]))
}
