import * as echarts from 'echarts'

/** Told apart by colour-blind readers too (Okabe and Ito), and by their symbols. */
const looks = {
  bare: { label: 'no tasks', color: '#555555', symbol: 'circle' },
  plugin: { label: 'fastify-background-tasks', color: '#0072b2', symbol: 'diamond' },
  setImmediate: { label: 'setImmediate', color: '#d55e00', symbol: 'triangle' },
  onResponse: { label: 'onResponse loop', color: '#009e73', symbol: 'emptyCircle' },
  'p-queue': { label: 'p-queue, 32 at once', color: '#cc79a7', symbol: 'roundRect' }
}

const panels = [{ key: 'p50', name: 'median (p50)' }, { key: 'p99', name: '99th percentile (p99)' }]

/** Latency against load as SVG, from the rows of the sweep. */
export function plot ({ rows, date }, { machine, node }) {
  const ways = Object.keys(looks).filter(way => rows.some(row => row.way === way))
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 460 })
  chart.setOption({
    // Its own ground, so that it reads alike in a light and in a dark theme.
    backgroundColor: '#ffffff',
    animation: false,
    title: {
      text: 'Response time against load, one task of 2 ms CPU after each response',
      subtext: `Open loop, latency from the time a request was due. Node ${node}, ${machine}, ${date}`,
      left: 'center',
      textStyle: { color: '#1f2328', fontSize: 16 },
      subtextStyle: { color: '#59636e' }
    },
    legend: { top: 58, itemGap: 28, data: ways.map(way => looks[way].label), textStyle: { color: '#1f2328' } },
    grid: panels.map((_panel, index) => ({ left: index === 0 ? 70 : 540, width: 390, top: 120, bottom: 60 })),
    xAxis: panels.map((_panel, gridIndex) => ({
      gridIndex,
      type: 'value',
      min: 0,
      max: 2,
      name: 'arrival rate, as a multiple of capacity',
      nameLocation: 'middle',
      nameGap: 32,
      ...inked
    })),
    yAxis: panels.map(({ name }, gridIndex) => ({
      gridIndex,
      type: 'log',
      min: 0.01,
      max: 10_000,
      name: `${name}, ms`,
      ...inked,
      axisLabel: { color: '#1f2328', formatter: value => String(value) }
    })),
    series: panels.flatMap(({ key }, index) => ways.map(way => ({
      type: 'line',
      name: looks[way].label,
      xAxisIndex: index,
      yAxisIndex: index,
      symbol: looks[way].symbol,
      symbolSize: 9,
      color: looks[way].color,
      lineStyle: { width: way === 'plugin' ? 4 : 2, type: way === 'bare' ? 'dashed' : 'solid' },
      data: rows.filter(row => row.way === way).map(row => [row.load, row[key].median]),
      markLine: way === 'bare' ? capacityLine : undefined
    })))
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

const inked = {
  nameTextStyle: { color: '#1f2328' },
  axisLabel: { color: '#1f2328' },
  axisLine: { show: true, lineStyle: { color: '#59636e' } },
  splitLine: { lineStyle: { color: '#d1d9e0' } }
}

const capacityLine = {
  silent: true,
  symbol: 'none',
  lineStyle: { color: '#59636e', type: 'dotted' },
  label: { formatter: 'capacity', color: '#59636e' },
  data: [{ xAxis: 1 }]
}
