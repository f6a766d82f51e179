export function quantile (values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]
  return below + (sorted[Math.ceil(at)] - below) * (at % 1)
}

export const median = values => quantile(values, 0.5)

/** Median of the ratios to another candidate of the same round, and the range that the middle half of them spans. */
export function ratios (times, base) {
  const all = times.map((time, round) => time / base[round])
  return { median: median(all), low: quantile(all, 0.25), high: quantile(all, 0.75) }
}
